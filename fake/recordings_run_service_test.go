package fake_test

import (
	"net/http"
	"testing"
)

// The service of run-service-life, recorded in 2024.
const (
	recordedServiceURL = recordedRun + "services/runservice-1w5ax8rh1otic?alt=json"

	recordedServiceCreate = `{"ingress":"INGRESS_TRAFFIC_ALL","labels":{"cnrm-test":"true","managed-by-cnrm":"true"},"launchStage":"GA",
		"template":{"containers":[{"env":[{"name":"FOO","value":"bar]"}],"image":"gcr.io/cloudrun/hello"}],"scaling":{"maxInstanceCount":2}},
		"traffic":[{"percent":100,"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}]}`
	recordedServicePatch = `{"ingress":"INGRESS_TRAFFIC_ALL","labels":{"cnrm-test":"true","managed-by-cnrm":"true"},"launchStage":"GA",
		"template":{"containers":[{"env":[{"name":"FOO","value":"[barbar"}],"image":"gcr.io/cloudrun/hello",
			"ports":[{"containerPort":8080,"name":"http1"}],"resources":{"cpuIdle":true,"limits":{"cpu":"1000m","memory":"512Mi"}},
			"startupProbe":{"failureThreshold":1,"grpc":null,"httpGet":null,"periodSeconds":240,"tcpSocket":{"port":8080},"timeoutSeconds":240}}],
			"maxInstanceRequestConcurrency":80,"scaling":{"maxInstanceCount":3},
			"serviceAccount":"123456789-compute@developer.gserviceaccount.com","timeout":"300s"},
		"traffic":[{"percent":100,"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}]}`

	recordedServiceName = "projects/example-project/locations/us-central1/services/runservice-1w5ax8rh1otic"
	recordedServiceBot  = "integration-test@example-project.iam.gserviceaccount.com"

	// recordedService is what all of its states share, but for the ingress,
	// which a service that was never ready does not show.
	recordedService = `{
		"name": "` + recordedServiceName + `", "uid": "<uuid:service>",
		"labels": {"cnrm-test": "true", "managed-by-cnrm": "true"},
		"createTime": "2024-04-25T01:58:35.886675Z",
		"creator": "` + recordedServiceBot + `", "lastModifier": "` + recordedServiceBot + `",
		"ingress": "INGRESS_TRAFFIC_ALL", "launchStage": "GA",
		"template": {
			"scaling": {"maxInstanceCount": 2}, "timeout": "300s", "serviceAccount": "` + recordedCompute + `",
			"maxInstanceRequestConcurrency": 80,
			"containers": [{
				"image": "gcr.io/cloudrun/hello", "env": [{"name": "FOO", "value": "bar]"}],
				"resources": {"limits": {"memory": "512Mi", "cpu": "1000m"}, "cpuIdle": true},
				"ports": [{"name": "http1", "containerPort": 8080}],
				"startupProbe": {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {"port": 8080}}}]},
		"traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]}`
	recordedServiceChange = `{"template": {
		"scaling": {"maxInstanceCount": 3},
		"containers": [{
			"image": "gcr.io/cloudrun/hello", "env": [{"name": "FOO", "value": "[barbar"}],
			"resources": {"limits": {"memory": "512Mi", "cpu": "1000m"}, "cpuIdle": true},
			"ports": [{"name": "http1", "containerPort": 8080}],
			"startupProbe": {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {"port": 8080}}}]}}`

	recordedServiceCreated = `{"generation": "1", "updateTime": "2024-04-25T01:58:35.886675Z", "etag": "\"CMvxprEGELis5qYD/<base64>\""}`
	recordedServicePatched = `{"generation": "2", "updateTime": "2024-04-25T01:58:49.390665Z", "etag": "\"CNnxprEGEKimpLoB/<base64>\""}`
	recordedServiceDeleted = `{"generation": "3", "updateTime": "2024-04-25T01:59:02.029208Z", "etag": "\"CObxprEGEMDb9g0/<base64>\"",
		"deleteTime": "2024-04-25T01:59:02.029208Z", "expireTime": "2024-05-25T01:59:02.029208Z"}`
	recordedServiceGone = `{"updateTime": "2024-04-25T01:59:02.805900Z", "etag": "\"CObxprEGEOCdpIAD/<base64>\""}`

	// recordedServing is what a service shows once it was ready.
	recordedServing = `{
		"trafficStatuses": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
		"uri": "https://runservice-1w5ax8rh1otic-7id3oidh4q-uc.a.run.app"}`
	recordedFirstRevision = `{
		"conditions": [
			{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "<time:routes1>"},
			{"type": "ConfigurationsReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "<time:configurations>"}],
		"latestReadyRevision": "` + recordedServiceName + `/revisions/runservice-1w5ax8rh1otic-00001-<suffix:first>",
		"latestCreatedRevision": "` + recordedServiceName + `/revisions/runservice-1w5ax8rh1otic-00001-<suffix:first>"}`
	recordedSecondRevision = `{
		"conditions": [
			{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "<time:routes2>"},
			{"type": "ConfigurationsReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "<time:configurations>"}],
		"latestReadyRevision": "` + recordedServiceName + `/revisions/runservice-1w5ax8rh1otic-00002-<suffix:second>",
		"latestCreatedRevision": "` + recordedServiceName + `/revisions/runservice-1w5ax8rh1otic-00002-<suffix:second>"}`
)

// recordedCondition is the terminal condition, with the rest that follows
// from whether the service is ready.
func recordedCondition(state, since, observed string) string {
	reconciling := "null"
	if state == "PENDING" {
		reconciling = "true"
	}
	return `{"reconciling": ` + reconciling + `, "observedGeneration": "` + observed + `",
		"terminalCondition": {"type": "Ready", "state": "CONDITION_` + state + `", "lastTransitionTime": "` + since + `"}}`
}

func TestRecordedService(t *testing.T) {
	t.Parallel()
	const (
		ready1 = "2024-04-25T01:58:41.603366Z"
		ready2 = "2024-04-25T01:58:54.511740Z"
		gone   = "2024-04-25T01:59:02.805900Z"
	)
	created := merged(recordedService, recordedServiceCreated)
	createdReady := merged(created, recordedServing, recordedFirstRevision, recordedCondition("SUCCEEDED", ready1, "1"))
	patched := merged(recordedService, recordedServiceChange, recordedServicePatched, recordedServing)
	patchedReady := merged(patched, recordedSecondRevision, recordedCondition("SUCCEEDED", ready2, "2"))
	deleted := merged(patchedReady, recordedServiceDeleted)
	play(t, recording{log: "run-service-life", caller: "serviceAccount:" + recordedServiceBot, exchanges: []exchange{
		{
			name: "read before creation", method: http.MethodGet, url: recordedServiceURL, status: 404,
			want: `"fake error message"`,
		},
		{
			name: "create", at: "2024-04-25T01:58:35.886675Z", until: ready1, method: http.MethodPost,
			url: recordedRun + "services?alt=json&serviceId=runservice-1w5ax8rh1otic", body: recordedServiceCreate, status: 200,
			want: startedOperation("create", "Service", merged(created,
				`{"ingress": null, "reconciling": true, "terminalCondition": {"state": "CONDITION_PENDING"}}`)),
		},
		{
			name: "creation's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:create>?alt=json", status: 200,
			want: endedOperation("create", "Service", createdReady, `{}`),
		},
		{
			name: "read when created", method: http.MethodGet, url: recordedServiceURL, status: 200,
			want: createdReady,
		},
		{
			name: "patch", at: "2024-04-25T01:58:49.390665Z", until: ready2, method: http.MethodPatch,
			url: recordedServiceURL, body: recordedServicePatch, status: 200,
			want: startedOperation("patch", "Service", merged(patched, recordedFirstRevision, recordedCondition("PENDING", ready1, "1"))),
		},
		{
			name: "patch's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:patch>?alt=json", status: 200,
			want: endedOperation("patch", "Service", patchedReady, `{}`),
		},
		{
			name: "read when patched", method: http.MethodGet, url: recordedServiceURL, status: 200,
			want: patchedReady,
		},
		{
			name: "delete", at: "2024-04-25T01:59:02.029208Z", until: gone, method: http.MethodDelete, url: recordedServiceURL, status: 200,
			want: startedOperation("delete", "Service", merged(deleted, recordedCondition("PENDING", ready2, "2"))),
		},
		{
			name: "deletion's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:delete>?alt=json", status: 200,
			want: endedOperation("delete", "Service", merged(deleted, recordedServiceGone, recordedCondition("SUCCEEDED", gone, "3")), `{}`),
		},
	}})
}
