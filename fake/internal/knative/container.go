package knative

import (
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// What the templates of all kinds of workloads hold, in both versions of
// Cloud Run.

func containerForm() *Form {
	fields := same("name", "image", "command", "args", "workingDir", "sandboxLauncher")
	return &Form{fields: append(
		fields,
		field{path("env"), path("env"), each(envForm())},
		field{path("ports"), path("ports"), each(&Form{fields: same("name", "containerPort")})},
		field{path("volumeMounts"), path("volumeMounts"), each(&Form{fields: same("name", "mountPath", "subPath")})},
		field{path("resources/limits"), path("resources/limits"), codec{}},
		field{path("startupProbe"), path("startupProbe"), one(probeForm())},
		field{path("livenessProbe"), path("livenessProbe"), one(probeForm())},
		field{path("readinessProbe"), path("readinessProbe"), one(probeForm())},
	)}
}

func envForm() *Form {
	return &Form{fields: append(
		same("name", "value"),
		field{path("valueFrom/secretKeyRef/name"), path("valueSource/secretKeyRef/secret"), codec{}},
		field{path("valueFrom/secretKeyRef/key"), path("valueSource/secretKeyRef/version"), codec{}},
	)}
}

func probeForm() *Form {
	header := &Form{fields: same("name", "value")}
	get := &Form{fields: append(same("path", "port"), field{path("httpHeaders"), path("httpHeaders"), each(header)})}
	return &Form{fields: append(
		same("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"),
		field{path("httpGet"), path("httpGet"), one(get)},
		field{path("tcpSocket"), path("tcpSocket"), one(&Form{fields: same("port")})},
		field{path("grpc"), path("grpc"), one(&Form{fields: same("port", "service")})},
	)}
}

func volumeForm() *Form {
	item := &Form{fields: append(same("path", "mode"), field{path("key"), path("version"), codec{}})}
	secret := &Form{fields: append(
		same("defaultMode"),
		field{path("secretName"), path("secret"), codec{}},
		field{path("items"), path("items"), each(item)},
	)}
	memory := &Form{fields: append(same("sizeLimit"), field{path("medium"), path("medium"), words("Memory", "MEMORY", "Disk", "DISK")})}
	return &Form{
		fields: append(
			same("name"),
			field{path("secret"), path("secret"), one(secret)},
			field{path("emptyDir"), path("emptyDir"), one(memory)},
			field{path("nfs"), path("nfs"), one(&Form{fields: same("server", "path", "readOnly")})},
		),
		v2: func(v1, v2 wire.Object) error {
			csi, _ := v1["csi"].(wire.Object)
			if wire.Text(csi, "driver") != bucketDriver {
				return nil
			}
			var err error
			v2["gcs"], err = bucketForm().ToV2(csi)
			return err
		},
		v1: func(v2, v1 wire.Object) {
			if gcs, ok := v2["gcs"].(wire.Object); ok {
				csi := bucketForm().ToV1(gcs)
				csi["driver"] = bucketDriver
				v1["csi"] = csi
			}
		},
	}
}

const bucketDriver = "gcsfuse.run.googleapis.com"

func bucketForm() *Form {
	return &Form{fields: append(
		same("readOnly"),
		field{path("volumeAttributes/bucketName"), path("bucket"), codec{}},
		field{path("volumeAttributes/mountOptions"), path("mountOptions"), listText()},
	)}
}

// runtimeFields returns the fields of the environment in which containers run.
// Version 1 has them as annotations of the template, version 2 below a path.
func runtimeFields(at string) []field {
	return []field{
		annotation("run.googleapis.com/execution-environment", at+"executionEnvironment",
			words("gen1", "EXECUTION_ENVIRONMENT_GEN1", "gen2", "EXECUTION_ENVIRONMENT_GEN2")),
		annotation("run.googleapis.com/vpc-access-connector", at+"vpcAccess/connector", codec{}),
		annotation("run.googleapis.com/vpc-access-egress", at+"vpcAccess/egress",
			words("all-traffic", "ALL_TRAFFIC", "all", "ALL_TRAFFIC", "private-ranges-only", "PRIVATE_RANGES_ONLY")),
		annotation("run.googleapis.com/network-interfaces", at+"vpcAccess/networkInterfaces", jsonText()),
		annotation("run.googleapis.com/encryption-key", at+"encryptionKey", codec{}),
		annotation("run.googleapis.com/gpu-zonal-redundancy-disabled", at+"gpuZonalRedundancyDisabled", presentFlag()),
	}
}

// presentFlag returns the codec of a boolean for which both versions tell false
// from absence.
func presentFlag() codec {
	c := flagText()
	toV2 := c.v2
	c.v2 = func(v any) (any, error) {
		if s, _ := v.(string); strings.EqualFold(s, "false") {
			return false, nil
		}
		return toV2(v)
	}
	c.v1 = func(v any) any { return strconv.FormatBool(v == true) }
	return c
}

// podFields returns the fields of the message that lists the containers.
func podFields(v1, v2 string) []field {
	sandbox := &Form{fields: append(
		same("name", "image", "command", "args", "workingDir", "volumeMounts"),
		field{path("env"), path("env"), each(envForm())},
	)}
	in := func(at, name string) []string { return path(at + name) }
	return []field{
		{in(v1, "serviceAccountName"), in(v2, "serviceAccount"), codec{}},
		{in(v1, "containers"), in(v2, "containers"), each(containerForm())},
		{in(v1, "volumes"), in(v2, "volumes"), each(volumeForm())},
		{append(in(v1, "nodeSelector"), "run.googleapis.com/accelerator"), in(v2, "nodeSelector/accelerator"), codec{}},
		{in(v1, "sandboxes/templates"), in(v2, "sandboxes/templates"), each(sandbox)},
	}
}

// templateFields returns the fields that templates of all kinds have in their
// metadata.
func templateFields() []field {
	return []field{
		{path("metadata/annotations"), path("annotations"), unrestricted()},
		{path("metadata/labels"), path("labels"), unrestricted()},
		annotation("run.googleapis.com/client-name", "client", codec{}),
		annotation("run.googleapis.com/client-version", "clientVersion", codec{}),
	}
}

// A pod is the part of a template that lists containers and volumes, with the
// template's annotations, in version 1 and in version 2.
type pod struct {
	annotations wire.Object
	v1, v2      wire.Object
}

const (
	databases    = "run.googleapis.com/cloudsql-instances"
	dependencies = "run.googleapis.com/container-dependencies"
	baseImages   = "run.googleapis.com/base-images"
	cpuBoost     = "run.googleapis.com/startup-cpu-boost"
	throttling   = "run.googleapis.com/cpu-throttling"
	aliases      = "run.googleapis.com/secrets"

	databaseVolume = "cloudsql"
)

// ToV2 does what annotations of version 1 say of containers and volumes.
func (p *pod) toV2() error {
	if list := wire.Text(p.annotations, databases); list != "" {
		instances, _ := listText().v2(list)
		volumes, _ := p.v2["volumes"].([]any)
		p.v2["volumes"] = append(volumes, wire.Object{"name": databaseVolume, "cloudSqlInstance": wire.Object{"instances": instances}})
		wire.EachObject(p.v2["containers"], func(c wire.Object) {
			mounts, _ := c["volumeMounts"].([]any)
			c["volumeMounts"] = append(mounts, wire.Object{"name": databaseVolume, "mountPath": "/cloudsql"})
		})
	}
	for name, field := range map[string]string{dependencies: "dependsOn", baseImages: "baseImageUri"} {
		if p.annotations[name] == nil {
			continue
		}
		v, err := jsonText().v2(p.annotations[name])
		if err != nil {
			return within(err, path("metadata/annotations/"+name))
		}
		byName, _ := v.(wire.Object)
		wire.EachObject(p.v2["containers"], func(c wire.Object) {
			if value := byName[wire.Text(c, "name")]; value != nil {
				c[field] = value
			}
		})
	}
	if strings.EqualFold(wire.Text(p.annotations, cpuBoost), "true") {
		wire.EachObject(p.v2["containers"], func(c wire.Object) { wire.Child(c, "resources")["startupCpuBoost"] = true })
	}
	full := make(map[string]string)
	for part := range strings.SplitSeq(wire.Text(p.annotations, aliases), ",") {
		if alias, name, ok := strings.Cut(part, ":"); ok {
			full[strings.TrimSpace(alias)] = name
		}
	}
	eachSecret(p.v2, func(o wire.Object, field string) {
		if name, ok := full[wire.Text(o, field)]; ok {
			o[field] = name
		}
	})
	return nil
}

// ToV1 is the reverse.
func (p *pod) toV1() {
	p.databasesToV1()
	depends, bases := wire.Object{}, wire.Object{}
	boost := false
	wire.EachObject(p.v2["containers"], func(c wire.Object) {
		if list := c["dependsOn"]; list != nil {
			depends[wire.Text(c, "name")] = list
		}
		if image := c["baseImageUri"]; image != nil {
			bases[wire.Text(c, "name")] = image
		}
		boost = boost || wire.Lookup(c, "resources", "startupCpuBoost") == true
	})
	if len(depends) > 0 {
		p.annotations[dependencies] = string(wire.MustEncode(depends))
	}
	if len(bases) > 0 {
		p.annotations[baseImages] = string(wire.MustEncode(bases))
	}
	if boost {
		p.annotations[cpuBoost] = "true"
	}
	var list []string
	alias := make(map[string]string)
	eachSecretV1(p.v1, func(o wire.Object, field string) {
		name := wire.Text(o, field)
		if !strings.HasPrefix(name, "projects/") {
			return
		}
		if alias[name] == "" {
			short := name[strings.LastIndexByte(name, '/')+1:] + "-" + strconv.Itoa(len(list)+1)
			alias[name] = short
			list = append(list, short+":"+name)
		}
		o[field] = alias[name]
	})
	if len(list) > 0 {
		p.annotations[aliases] = strings.Join(list, ",")
	}
}

// databasesToV1 takes out the volumes of Cloud SQL and their mounts, which
// version 1 has in an annotation.
func (p *pod) databasesToV1() {
	var instances []string
	names := make(map[string]bool)
	all, _ := p.v2["volumes"].([]any)
	for _, item := range all {
		v, _ := item.(wire.Object)
		sql, ok := v["cloudSqlInstance"].(wire.Object)
		if !ok {
			continue
		}
		list, _ := sql["instances"].([]any)
		if len(list) == 0 {
			continue
		}
		names[wire.Text(v, "name")] = true
		for _, instance := range list {
			s, _ := instance.(string)
			instances = append(instances, s)
		}
	}
	if len(names) == 0 {
		return
	}
	p.annotations[databases] = strings.Join(instances, ",")
	without(p.v1, "volumes", names)
	wire.EachObject(p.v1["containers"], func(c wire.Object) { without(c, "volumeMounts", names) })
}

// without removes those elements of a list that have one of the names.
func without(o wire.Object, field string, names map[string]bool) {
	list, _ := o[field].([]any)
	var left []any
	for _, item := range list {
		if v, _ := item.(wire.Object); !names[wire.Text(v, "name")] {
			left = append(left, item)
		}
	}
	if len(left) == 0 {
		delete(o, field)
		return
	}
	o[field] = left
}

// eachSecret visits the messages of version 2 that name a secret.
func eachSecret(pod wire.Object, do func(o wire.Object, field string)) {
	eachEnv(pod, func(env wire.Object) {
		if ref, ok := wire.Lookup(env, "valueSource", "secretKeyRef").(wire.Object); ok {
			do(ref, "secret")
		}
	})
	eachVolume(pod, func(secret wire.Object) { do(secret, "secret") })
}

// eachSecretV1 visits those of version 1.
func eachSecretV1(pod wire.Object, do func(o wire.Object, field string)) {
	eachEnv(pod, func(env wire.Object) {
		if ref, ok := wire.Lookup(env, "valueFrom", "secretKeyRef").(wire.Object); ok {
			do(ref, "name")
		}
	})
	eachVolume(pod, func(secret wire.Object) { do(secret, "secretName") })
}

func eachEnv(pod wire.Object, do func(wire.Object)) {
	wire.EachObject(pod["containers"], func(c wire.Object) {
		list, _ := c["env"].([]any)
		for _, item := range list {
			if env, ok := item.(wire.Object); ok {
				do(env)
			}
		}
	})
}

func eachVolume(pod wire.Object, do func(secret wire.Object)) {
	list, _ := pod["volumes"].([]any)
	for _, item := range list {
		v, _ := item.(wire.Object)
		if secret, ok := v["secret"].(wire.Object); ok {
			do(secret)
		}
	}
}
