package knative

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// The desired state of jobs, services and worker pools, and the templates in
// them, in both versions of Cloud Run.

// forms are the kinds' messages, by the plural of version 2.
var forms = sync.OnceValue(func() map[string]*Form {
	return map[string]*Form{
		"jobs": jobForm(), "services": serviceForm(), "workerPools": workerPoolForm(),
		"executions": executionForm(), "revisions": revisionForm(true),
	}
})

// FormOf returns the message of a kind of resource, named by its plural in
// version 2, or nil if there is none.
func FormOf(plural string) *Form { return forms()[plural] }

// Overrides returns the message with which the request for an execution says
// what differs from its job.
func Overrides() *Form {
	container := &Form{fields: append(
		same("name", "args", "clearArgs"),
		field{path("env"), path("env"), each(envForm())},
	)}
	return &Form{fields: append(
		same("taskCount", "delayExecution"),
		field{path("timeoutSeconds"), path("timeout"), seconds(false)},
		field{path("containerOverrides"), path("containerOverrides"), each(container)},
	)}
}

func jobForm() *Form {
	return &Form{fields: append(
		workloadFields(),
		field{path("spec/startExecutionToken"), path("startExecutionToken"), codec{}},
		field{path("spec/runExecutionToken"), path("runExecutionToken"), codec{}},
		field{path("spec/template"), path("template"), one(executionForm())},
	)}
}

// executionForm returns the form of executions and of the template for them in
// jobs.
func executionForm() *Form {
	fields := append(templateFields(), runtimeFields("template/")...)
	fields = append(fields, podFields("spec/template/spec/", "template/")...)
	pods := func(v1, v2 wire.Object) *pod {
		return &pod{annotations: wire.Child(v1, "metadata", "annotations"), v1: wire.Child(v1, "spec", "template", "spec"), v2: wire.Child(v2, "template")}
	}
	return &Form{
		fields: append(
			fields,
			field{path("spec/parallelism"), path("parallelism"), codec{}},
			field{path("spec/taskCount"), path("taskCount"), codec{}},
			field{path("spec/delayExecution"), path("delayExecution"), codec{}},
			field{path("spec/template/spec/maxRetries"), path("template/maxRetries"), codec{}},
			field{path("spec/template/spec/timeoutSeconds"), path("template/timeout"), seconds(true)},
		),
		v2: func(v1, v2 wire.Object) error { return pods(wire.Clone(v1), v2).toV2() },
		v1: func(v2, v1 wire.Object) { pods(v1, wire.Clone(v2)).toV1() },
	}
}

func serviceForm() *Form {
	traffic := &Form{
		fields: append(same("percent", "tag"), field{path("revisionName"), path("revision"), codec{}}),
		v2:     allocation(trafficToLatest, "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"), v1: allocationV1(trafficToLatest),
	}
	fields := append(
		workloadFields(),
		field{path("spec/template"), path("template"), one(revisionForm(true))},
		field{path("spec/traffic"), path("traffic"), each(traffic)},
		annotation("run.googleapis.com/description", "description", codec{}),
		annotation("run.googleapis.com/ingress", "ingress", words(
			"all", "INGRESS_TRAFFIC_ALL", "internal", "INGRESS_TRAFFIC_INTERNAL_ONLY",
			"internal-and-cloud-load-balancing", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "none", "INGRESS_TRAFFIC_NONE",
		)),
		annotation("run.googleapis.com/minScale", "scaling/minInstanceCount", numberText()),
		annotation("run.googleapis.com/maxScale", "scaling/maxInstanceCount", numberText()),
		annotation("run.googleapis.com/scalingMode", "scaling/scalingMode", words("automatic", "AUTOMATIC", "manual", "MANUAL")),
		annotation("run.googleapis.com/manualInstanceCount", "scaling/manualInstanceCount", numberText()),
		annotation("run.googleapis.com/custom-audiences", "customAudiences", jsonText()),
		annotation("run.googleapis.com/default-url-disabled", "defaultUriDisabled", flagText()),
		annotation("run.googleapis.com/invoker-iam-disabled", "invokerIamDisabled", flagText()),
		annotation("run.googleapis.com/iap-enabled", "iapEnabled", flagText()),
		annotation("run.googleapis.com/build-environment-variables", "buildConfig/environmentVariables", jsonText()),
		annotation("run.googleapis.com/build-enable-automatic-updates", "buildConfig/enableAutomaticUpdates", flagText()),
	)
	for name, v2 := range map[string]string{
		"build-source-location": "sourceLocation", "build-function-target": "functionTarget", "build-image-uri": "imageUri",
		"build-base-image": "baseImage", "build-worker-pool": "workerPool", "build-service-account": "serviceAccount",
	} {
		fields = append(fields, annotation("run.googleapis.com/"+name, "buildConfig/"+v2, codec{}))
	}
	return &Form{fields: fields}
}

func workerPoolForm() *Form {
	split := &Form{
		fields: append(same("percent"), field{path("revisionName"), path("revision"), codec{}}),
		v2:     allocation(splitToLatest, "INSTANCE_SPLIT_ALLOCATION_TYPE_REVISION"), v1: allocationV1(splitToLatest),
	}
	return &Form{fields: append(
		workloadFields(),
		field{path("spec/template"), path("template"), one(revisionForm(false))},
		field{path("spec/instanceSplits"), path("instanceSplits"), each(split)},
		annotation("run.googleapis.com/description", "description", codec{}),
		annotation("run.googleapis.com/manualInstanceCount", "scaling/manualInstanceCount", numberText()),
	)}
}

// The types of a traffic target and an instance split that follow the latest
// revision, in version 2.
const (
	trafficToLatest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
	splitToLatest   = "INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST"
)

// allocation returns the step that gives a traffic target or instance split its
// type in version 2.
func allocation(latest, named string) func(v1, v2 wire.Object) error {
	return func(v1, v2 wire.Object) error {
		v2["type"] = named
		if v1["latestRevision"] == true {
			v2["type"] = latest
		}
		return nil
	}
}

func allocationV1(latest string) func(v2, v1 wire.Object) {
	return func(v2, v1 wire.Object) {
		if v2["type"] == latest {
			v1["latestRevision"] = true
		}
	}
}

// workloadFields returns the fields that all kinds have.
func workloadFields() []field {
	return append(
		templateFields(),
		annotation("run.googleapis.com/launch-stage", "launchStage", launchStage()),
		annotation("run.googleapis.com/binary-authorization", "binaryAuthorization/useDefault", codec{
			v2: func(v any) (any, error) {
				if v == "default" {
					return true, nil
				}
				return nil, nil
			},
			v1: func(any) any { return "default" },
		}),
		annotation("run.googleapis.com/binary-authorization", "binaryAuthorization/policy", codec{
			v2: func(v any) (any, error) {
				if v == "default" {
					return nil, nil
				}
				return v, nil
			},
		}),
		annotation("run.googleapis.com/binary-authorization-breakglass", "binaryAuthorization/breakglassJustification", codec{}),
	)
}

// launchStage leaves GA out, which is what a workload without the annotation
// has.
func launchStage() codec {
	c := words("ALPHA", "ALPHA", "BETA", "BETA", "GA", "GA", "EARLY_ACCESS", "EARLY_ACCESS", "PRELAUNCH", "PRELAUNCH",
		"DEPRECATED", "DEPRECATED", "UNIMPLEMENTED", "UNIMPLEMENTED")
	toV1 := c.v1
	c.v1 = func(v any) any {
		if v == "GA" {
			return nil
		}
		return toV1(v)
	}
	return c
}

// revisionForm returns the form of revisions and of the templates for them. A
// worker pool's lacks what has to do with requests.
func revisionForm(requests bool) *Form {
	fields := append(templateFields(), podFields("spec/", "")...)
	for _, f := range runtimeFields("") {
		if requests || f.v2[0] != "executionEnvironment" {
			fields = append(fields, f)
		}
	}
	fields = append(
		fields,
		field{path("metadata/name"), path("revision"), codec{}},
		annotation("run.googleapis.com/post-key-revocation-action-type", "encryptionKeyRevocationAction",
			words("prevent-new", "PREVENT_NEW", "shut-down", "SHUTDOWN")),
		annotation("run.googleapis.com/encryption-key-shutdown-hours", "encryptionKeyShutdownDuration", hours()),
		annotation("run.googleapis.com/mesh", "serviceMesh/mesh", codec{}),
	)
	if requests {
		fields = append(
			fields,
			field{path("spec/timeoutSeconds"), path("timeout"), seconds(false)},
			field{path("spec/containerConcurrency"), path("maxInstanceRequestConcurrency"), codec{}},
			annotation("autoscaling.knative.dev/minScale", "scaling/minInstanceCount", numberText()),
			annotation("autoscaling.knative.dev/maxScale", "scaling/maxInstanceCount", numberText()),
			annotation("run.googleapis.com/sessionAffinity", "sessionAffinity", flagText()),
			annotation("run.googleapis.com/health-check-disabled", "healthCheckDisabled", flagText()),
		)
	}
	pods := func(v1, v2 wire.Object) *pod {
		return &pod{annotations: wire.Child(v1, "metadata", "annotations"), v1: wire.Child(v1, "spec"), v2: v2}
	}
	return &Form{
		fields: fields,
		v2: func(v1, v2 wire.Object) error {
			p := pods(wire.Clone(v1), v2)
			if requests {
				// Resources are given either way: those that are not have the
				// default of version 2, which is throttled.
				throttled := !strings.EqualFold(wire.Text(p.annotations, throttling), "false")
				wire.EachObject(v2["containers"], func(c wire.Object) {
					if resources := wire.Child(c, "resources"); throttled {
						resources["cpuIdle"] = true
					}
				})
			}
			return p.toV2()
		},
		v1: func(v2, v1 wire.Object) {
			p := pods(v1, wire.Clone(v2))
			throttled := !requests
			wire.EachObject(v2["containers"], func(c wire.Object) {
				throttled = throttled || wire.Lookup(c, "resources", "cpuIdle") == true
			})
			if !throttled {
				p.annotations[throttling] = "false"
			}
			p.toV1()
		},
	}
}

// hours returns the codec of a duration that version 1 writes as a number of
// hours.
func hours() codec {
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			n, err := strconv.Atoi(s)
			if err != nil {
				return nil, wire.Invalid("Invalid value %s: expected a number of hours.", wire.MustEncode(v))
			}
			return strconv.Itoa(n*3600) + "s", nil
		},
		v1: func(v any) any {
			s, _ := v.(string)
			n, err := strconv.Atoi(strings.TrimSuffix(s, "s"))
			if err != nil {
				return nil
			}
			return strconv.Itoa(n / 3600)
		},
	}
}

// Integer reads a number that version 2 writes as text, as int64 is.
func Integer(v any) json.Number {
	s, _ := v.(string)
	if _, err := strconv.ParseInt(s, 10, 64); err != nil {
		return "0"
	}
	return json.Number(s)
}
