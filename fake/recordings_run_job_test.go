package fake_test

import (
	"net/http"
	"testing"
)

// The job of run-job-life. Its times are those in the recorded etags.
const (
	recordedJobURL = recordedRun + "jobs/runjob-scf26ibj4m5fe6y?alt=json"

	recordedJobCreate = `{"launchStage": "GA", "template": {"template": {
		"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}], "maxRetries": 3}}}`
	recordedJobPatch = `{"launchStage": "GA", "template": {"taskCount": 1, "template": {
		"containers": [{
			"image": "us-docker.pkg.dev/cloudrun/container/hello", "name": "container-name",
			"resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}}}],
		"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2", "maxRetries": 3,
		"serviceAccount": "123456789-compute@developer.gserviceaccount.com", "timeout": "600s"}}}`

	// recordedJob is what all of its states share.
	recordedJob = `{
		"name": "projects/example-project/locations/us-central1/jobs/runjob-scf26ibj4m5fe6y",
		"creator": "deployer@example.com", "lastModifier": "deployer@example.com",
		"createTime": "2025-09-03T19:42:04.485880Z", "latestCreatedExecution": {}, "launchStage": "GA",
		"template": {"taskCount": 1, "template": {
			"containers": [{
				"image": "us-docker.pkg.dev/cloudrun/container/hello",
				"resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}}}],
			"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2", "maxRetries": 3,
			"serviceAccount": "` + recordedCompute + `", "timeout": "600s"}}}`
	recordedJobNamed = `{"template": {"template": {"containers": [{
		"image": "us-docker.pkg.dev/cloudrun/container/hello", "name": "container-name",
		"resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}}}]}}}`

	// Whose etag was that of the pending job, and whose not.
	recordedJobCreated = `{"generation": "1", "updateTime": "2025-09-03T19:42:04.485880Z",
		"etag": "\"CIy04sUGEMDh1-cB/` + recordedJobEtag + `\""}`
	recordedJobPatched = `{"generation": "2", "updateTime": "2025-09-03T19:42:16.276859Z",
		"etag": "\"CJi04sUGEPiQgoQB/` + recordedJobEtag + `\""}`
	recordedJobDeleted = `{"generation": "3", "updateTime": "2025-09-03T19:42:27.932979Z",
		"etag": "\"CKO04sUGELjC8LwD/` + recordedJobEtag + `\"",
		"deleteTime": "2025-09-03T19:42:27.932979Z", "expireTime": "2025-10-03T19:42:27.932979Z"}`
	recordedJobGone = `{"updateTime": "2025-09-03T19:42:28.026953Z",
		"etag": "\"CKS04sUGEKiK7Qw/` + recordedJobEtag + `\""}`
	recordedJobEtag = "cHJvamVjdHMvZXhhbXBsZS1wcm9qZWN0L2xvY2F0aW9ucy91cy1jZW50cmFsMS9qb2JzL3J1bmpvYi1zY2YyNmliajRtNWZlNnk"

	// The transition's time is that of the creation throughout.
	recordedJobPending = `{"reconciling": true,
		"terminalCondition": {"type": "Ready", "state": "CONDITION_PENDING", "lastTransitionTime": "2025-09-03T19:42:04.930571Z"}}`
	recordedJobReady = `{"reconciling": null,
		"terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "2025-09-03T19:42:04.930571Z"}}`
	recordedJobUID = `{"uid": "<uuid:job>"}`
)

func TestRecordedJob(t *testing.T) {
	t.Parallel()
	created := merged(recordedJob, recordedJobCreated)
	createdReady := merged(created, recordedJobReady, `{"observedGeneration": "1"}`)
	patched := merged(recordedJob, recordedJobNamed, recordedJobPatched)
	patchedReady := merged(patched, recordedJobReady, `{"observedGeneration": "2"}`)
	deleted := merged(patched, recordedJobDeleted)
	replaced := `{"creator": "${creatorID}"}`
	play(t, recording{log: "run-job-life", caller: "user:deployer@example.com", exchanges: []exchange{
		{
			name: "read before creation", method: http.MethodGet, url: recordedJobURL, status: 404,
			want: `{"error": {"code": 404, "status": "NOT_FOUND",
				"message": "Resource 'runjob-scf26ibj4m5fe6y' of kind 'JOB' in region 'us-central1' in project 'example-project' does not exist."}}`,
		},
		{
			name: "create", at: "2025-09-03T19:42:04.485880Z", until: "2025-09-03T19:42:04.930571Z",
			method: http.MethodPost, url: recordedRun + "jobs?alt=json&jobId=runjob-scf26ibj4m5fe6y", body: recordedJobCreate, status: 200,
			want: startedOperation("create", "Job", merged(created, `{"reconciling": true, "terminalCondition": {"state": "CONDITION_PENDING"}}`)),
		},
		{
			name: "creation's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:create>?alt=json", status: 200,
			want: endedOperation("create", "Job", createdReady, recordedJobUID),
		},
		{
			name: "read when created", method: http.MethodGet, url: recordedJobURL, status: 200,
			want: merged(createdReady, recordedJobUID, replaced),
		},
		{
			name: "patch", at: "2025-09-03T19:42:16.276859Z", until: "2025-09-03T19:42:17Z",
			method: http.MethodPatch, url: recordedJobURL, body: recordedJobPatch, status: 200,
			want: startedOperation("patch", "Job", merged(patched, recordedJobPending, `{"observedGeneration": "1"}`)),
		},
		{
			name: "patch's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:patch>?alt=json", status: 200,
			want: endedOperation("patch", "Job", patchedReady, recordedJobUID),
		},
		{
			name: "read when patched", method: http.MethodGet, url: recordedJobURL, status: 200,
			want: merged(patchedReady, recordedJobUID, replaced),
		},
		{
			name: "delete", at: "2025-09-03T19:42:27.932979Z", until: "2025-09-03T19:42:28.026953Z",
			method: http.MethodDelete, url: recordedJobURL, status: 200,
			want: startedOperation("delete", "Job", merged(deleted, recordedJobPending, `{"observedGeneration": "2"}`)),
		},
		{
			name: "deletion's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:delete>?alt=json", status: 200,
			want: endedOperation("delete", "Job", merged(deleted, recordedJobReady, recordedJobGone, `{"observedGeneration": "3"}`), recordedJobUID),
		},
	}})
}

// The job with a volume is one that a generated client of the newer sort made
// (Config Connector's 8f2068280e, runjob-gcsvolume): it asks for enums as
// numbers, though not when it reads an operation. Of its times only that of
// the deletion was kept.
const (
	numericJobURL = recordedRun + "jobs/runjob-volume?%24alt=json%3Benum-encoding%3Dint"

	numericJobBody = `{
		"labels": {"cnrm-test": "true", "managed-by-cnrm": "true"}, "launchStage": 4,
		"template": {"template": {
			"containers": [{
				"image": "us-docker.pkg.dev/cloudrun/container/hello",
				"volumeMounts": [{"mountPath": "/mnt/gcs", "name": "gcsvolume"}]}],
			"volumes": [{"name": "gcsvolume", "gcs": {
				"bucket": "projects/example-project/buckets/storagebucket-1", "mountOptions": ["implicit-dirs"], "readOnly": true}}]}}}`
	numericJobChange = `{"template": {"template": {"volumes": [{"name": "gcsvolume", "gcs": {
		"bucket": "projects/example-project/buckets/storagebucket-2", "mountOptions": ["implicit-dirs"]}}]}}}`
	numericJobName = `{"name": "projects/example-project/locations/us-central1/jobs/runjob-volume"}`

	// numericJobDefaults are what the server adds to the body.
	numericJobDefaults = `{
		"creator": "deployer@example.com", "lastModifier": "deployer@example.com", "latestCreatedExecution": {},
		"createTime": "<time:created>",
		"template": {"taskCount": 1, "template": {
			"containers": [{
				"image": "us-docker.pkg.dev/cloudrun/container/hello",
				"resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}},
				"volumeMounts": [{"mountPath": "/mnt/gcs", "name": "gcsvolume"}]}],
			"executionEnvironment": 2, "maxRetries": 3, "serviceAccount": "` + recordedCompute + `", "timeout": "600s"}}}`
	numericJobNames = `{"launchStage": "GA", "template": {"template": {"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2"}}}`
	numericPending  = `{"reconciling": true, "terminalCondition": {"type": "Ready", "state": 1, "lastTransitionTime": "<time:ready>"}}`
	numericReady    = `{"terminalCondition": {"type": "Ready", "state": 4, "lastTransitionTime": "<time:ready>"}}`
	namedReady      = `{"terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "<time:ready>"}}`
)

func TestRecordedJobWithEnumsAsNumbers(t *testing.T) {
	t.Parallel()
	created := merged(numericJobBody, numericJobDefaults, numericJobName,
		`{"generation": "1", "updateTime": "<time:created>", "etag": "<etag:created>"}`)
	patched := merged(created, numericJobChange,
		`{"generation": "2", "updateTime": "<time:patched>", "etag": "<etag:patched>"}`)
	deleted := merged(patched, `{"generation": "3", "updateTime": "2026-02-01T12:29:19.100355Z", "etag": "<etag:deleted>",
		"deleteTime": "2026-02-01T12:29:19.100355Z", "expireTime": "2026-03-03T12:29:19.100355Z"}`)
	gone := merged(deleted, `{"updateTime": "<time:gone>", "etag": "<etag:gone>"}`)
	replaced := `{"creator": "${creatorID}", "generation": "12345678901234"}`
	params := http.Header{"X-Goog-Request-Params": {"location=us-central1"}}
	operationParams := http.Header{"X-Goog-Request-Params": {"name=projects%2Fexample-project%2Flocations%2Fus-central1%2Foperations%2F1"}}
	play(t, recording{log: "runjob-gcsvolume", caller: "user:deployer@example.com", exchanges: []exchange{
		{
			name: "read before creation", method: http.MethodGet, url: numericJobURL, header: params, status: 404,
			want: `{"error": {"code": 404, "status": "NOT_FOUND",
				"message": "Resource 'runjob-volume' of kind 'JOB' in region 'us-central1' in project 'example-project' does not exist."}}`,
		},
		{
			name: "create", at: "2026-02-01T12:28:00Z", until: "2026-02-01T12:28:01Z", method: http.MethodPost,
			url:    recordedRun + "jobs?%24alt=json%3Benum-encoding%3Dint&jobId=runjob-volume",
			header: params, body: numericJobBody, status: 200,
			want: startedOperation("create", "Job", merged(created, `{"reconciling": true, "terminalCondition": {"state": 1}}`)),
		},
		{
			name: "creation's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:create>",
			header: operationParams, status: 200,
			want: endedOperation("create", "Job", merged(created, numericJobNames, namedReady, `{"observedGeneration": "1"}`), recordedJobUID),
		},
		{
			// Not recorded: it follows from how the other answers change.
			name: "creation's operation, enums as numbers", method: http.MethodGet,
			url:    recordedRun + "operations/<uuid:create>?%24alt=json%3Benum-encoding%3Dint",
			header: operationParams, status: 200,
			want: endedOperation("create", "Job", merged(created, numericReady, `{"observedGeneration": "1"}`), recordedJobUID),
		},
		{
			name: "read when created", method: http.MethodGet, url: numericJobURL, header: params, status: 200,
			want: merged(created, numericReady, `{"observedGeneration": "1"}`, recordedJobUID, replaced),
		},
		{
			name: "patch", at: "2026-02-01T12:28:30Z", until: "2026-02-01T12:28:31Z", method: http.MethodPatch, url: numericJobURL,
			header: params, body: merged(numericJobBody, numericJobChange, numericJobName), status: 200,
			want: startedOperation("patch", "Job", merged(patched, numericPending, `{"observedGeneration": "1"}`)),
		},
		{
			name: "patch's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:patch>",
			header: operationParams, status: 200,
			want: endedOperation("patch", "Job", merged(patched, numericJobNames, namedReady, `{"observedGeneration": "2"}`), recordedJobUID),
		},
		{
			name: "read when patched", method: http.MethodGet, url: numericJobURL, header: params, status: 200,
			want: merged(patched, numericReady, `{"observedGeneration": "2"}`, recordedJobUID, replaced),
		},
		{
			name: "delete", at: "2026-02-01T12:29:19.100355Z", until: "2026-02-01T12:29:20Z", method: http.MethodDelete, url: numericJobURL,
			header: params, status: 200,
			want: startedOperation("delete", "Job", merged(deleted, numericPending, `{"observedGeneration": "2"}`)),
		},
		{
			name: "deletion's operation", method: http.MethodGet, url: recordedRun + "operations/<uuid:delete>",
			header: operationParams, status: 200,
			want: endedOperation("delete", "Job", merged(gone, numericJobNames, namedReady, `{"observedGeneration": "3"}`), recordedJobUID),
		},
	}})
}
