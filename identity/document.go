package identity

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// document is a workload as the API answers it: the JSON, and what this
// package needs of it.
type document struct {
	raw []byte

	Name               string    `json:"name"`
	Etag               string    `json:"etag"`
	Generation         integer   `json:"generation"`
	ObservedGeneration integer   `json:"observedGeneration"`
	Reconciling        bool      `json:"reconciling"`
	TerminalCondition  condition `json:"terminalCondition"`
	Template           struct {
		taskTemplate
		Revision string       `json:"revision"`
		Template taskTemplate `json:"template"` // a job's
	} `json:"template"`
	LatestReadyRevision   string    `json:"latestReadyRevision"`
	LatestCreatedRevision string    `json:"latestCreatedRevision"`
	Traffic               []traffic `json:"traffic"`
	TrafficStatuses       []traffic `json:"trafficStatuses"`
	InstanceSplits        []traffic `json:"instanceSplits"`
	InstanceSplitStatuses []traffic `json:"instanceSplitStatuses"`
}

// taskTemplate is the part of a template that tells the identity.
type taskTemplate struct {
	ServiceAccount string                                      `json:"serviceAccount"`
	Identity       *run.GoogleCloudRunV2WorkloadIdentityConfig `json:"workloadIdentityConfig"`
}

// condition is the part of a condition that tells whether all is well.
type condition struct {
	Type            string `json:"type"`
	State           string `json:"state"`
	Message         string `json:"message"`
	Reason          string `json:"reason"`
	RevisionReason  string `json:"revisionReason"`
	ExecutionReason string `json:"executionReason"`
}

// failure is the error that a condition tells, if any.
func (c condition) failure(operation string) error {
	if c.State != "CONDITION_FAILED" {
		return nil
	}
	reason := "UNKNOWN"
	for _, r := range []string{c.Reason, c.RevisionReason, c.ExecutionReason} {
		if r != "" {
			reason = r
			break
		}
	}
	return operationError(operation, reason, c.Message)
}

// traffic is a share of a service's requests or a worker pool's instances.
type traffic struct {
	Type     string  `json:"type"`
	Revision string  `json:"revision"`
	Percent  integer `json:"percent"`
}

// integer is a number that the API writes as a string if it has 64 bits and
// as a number if it has 32. Either is read, in any form of JSON.
type integer int64

func (i *integer) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	if s == "null" || s == "" {
		return nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		*i = integer(n)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return fmt.Errorf("%s is no integer", text)
	}
	*i = integer(f)
	return nil
}

// toLatest reports whether the share goes to the latest ready revision.
func (t traffic) toLatest() bool {
	return t.Type == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST" || t.Type == "INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST"
}

func parseDocument(raw []byte) (*document, error) {
	d := &document{raw: raw}
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return d, nil
}

// parseTyped reads a workload within an operation, where it says its type
// besides.
func parseTyped(raw []byte) (*document, error) {
	o, err := objectOf(raw)
	if err != nil {
		return nil, err
	}
	delete(o, "@type")
	if raw, err = o.encode(); err != nil {
		return nil, err
	}
	return parseDocument(raw)
}

// settled reports whether the workload is in the state that a generation asks
// for, or has failed to get there.
func (d *document) settled(generation integer) bool {
	return !d.Reconciling && (d.ObservedGeneration == 0 || d.ObservedGeneration >= generation)
}

// template is the part of the template that tells the identity.
func (d *document) template(k Kind) taskTemplate {
	if k == KindJob {
		return d.Template.Template
	}
	return d.Template.taskTemplate
}

// account is the workload's service account: zero where the answer names
// none, which means the project's default.
func (d *document) account(k Kind) (ServiceAccount, error) {
	return accountIn(d.template(k).ServiceAccount)
}

// named is the workload's identity in errors, also if it is no service account's.
func (d *document) named(k Kind) string {
	return cmp.Or(rest.Harmless(d.template(k).ServiceAccount), defaultIdentity)
}

// accountIn is accountOf for an address that Cloud Run answers.
func accountIn(email string) (ServiceAccount, error) {
	sa, err := accountOf(email)
	if err != nil {
		return sa, fmt.Errorf("the identity that Cloud Run answers: %w", err)
	}
	return sa, nil
}

func accountOf(email string) (ServiceAccount, error) {
	if email == "" {
		return ServiceAccount{}, nil
	}
	return ParseServiceAccount(email)
}

// agentIdentity reports whether the workload runs as an agent identity.
func (d *document) agentIdentity(k Kind) bool { return isAgent(d.template(k).Identity) }

func isAgent(c *run.GoogleCloudRunV2WorkloadIdentityConfig) bool {
	return c != nil && c.IdentityType == "IDENTITY_TYPE_AGENT_IDENTITY"
}

// object is one JSON object with its values as they came.
type object map[string]json.RawMessage

// outputOnly are the fields of a workload that only the server sets: the discovery
// document says so. They are not sent.
func outputOnly(k Kind) []string {
	all := []string{
		"conditions", "createTime", "creator", "deleteTime", "expireTime", "generation", "lastModifier",
		"observedGeneration", "reconciling", "satisfiesPzs", "terminalCondition", "uid", "updateTime",
	}
	switch k {
	case KindJob:
		return append(all, "executionCount", "latestCreatedExecution")
	case KindService:
		return append(all, "latestCreatedRevision", "latestReadyRevision", "threatDetectionEnabled", "trafficStatuses", "uri", "urls")
	case KindWorkerPool:
		return append(all, "instanceSplitStatuses", "latestCreatedRevision", "latestReadyRevision", "threatDetectionEnabled")
	default:
		return all
	}
}

// jobTokens start an execution when they are sent.
func jobTokens() []string { return []string{"startExecutionToken", "runExecutionToken"} }

// jobBody is the body of a PATCH that gives a job another service account, or
// the default one when sa is zero, and changes nothing else: a job has no
// update mask, so the whole of it is sent, as the JSON that was read.
func jobBody(raw []byte, sa ServiceAccount) ([]byte, error) {
	return editWorkload(KindJob, raw, sa, slices.Concat(outputOnly(KindJob), jobTokens()))
}

// editWorkload gives a workload's JSON another service account, without some fields.
func editWorkload(k Kind, raw []byte, sa ServiceAccount, without []string) ([]byte, error) {
	workload, err := objectOf(raw)
	if err != nil {
		return nil, err
	}
	for _, name := range without {
		delete(workload, name)
	}
	if err := workload.dropBuildName(); err != nil {
		return nil, err
	}
	template := func(o object) error {
		if err := o.setAccount(sa); err != nil {
			return err
		}
		return o.dropBuildInfo()
	}
	if k == KindJob {
		task := template
		template = func(execution object) error { return execution.edit("template", task) }
	}
	if err := workload.edit("template", template); err != nil {
		return nil, err
	}
	return workload.encode()
}

// maskedBody is the body of a PATCH with an update mask: of services and
// worker pools nothing but the mask's fields is written.
func maskedBody(d *document, sa ServiceAccount) ([]byte, error) {
	template := make(object)
	if err := template.setAccount(sa); err != nil {
		return nil, err
	}
	body := make(object)
	if d.Etag != "" {
		quoted, err := json.Marshal(d.Etag)
		if err != nil {
			return nil, err
		}
		body["etag"] = quoted
	}
	encoded, err := template.encode()
	if err != nil {
		return nil, err
	}
	body["template"] = encoded
	return body.encode()
}

func (o object) setAccount(sa ServiceAccount) error {
	if sa.IsZero() {
		delete(o, "serviceAccount")
		return nil
	}
	quoted, err := json.Marshal(sa.Email())
	o["serviceAccount"] = quoted
	return err
}

// dropBuildName removes the name of a service's last build, which only the server
// sets.
func (o object) dropBuildName() error {
	if o["buildConfig"] == nil || string(o["buildConfig"]) == "null" {
		return nil
	}
	return o.edit("buildConfig", func(build object) error {
		delete(build, "name")
		return nil
	})
}

// dropBuildInfo removes the one output-only field within a template.
func (o object) dropBuildInfo() error {
	var containers []object
	if json.Unmarshal(o["containers"], &containers) != nil {
		return nil //nolint:nilerr // a form that we do not know goes back as it came
	}
	dropped := false
	encoded := make([]json.RawMessage, len(containers))
	for i, c := range containers {
		_, has := c["buildInfo"]
		dropped = dropped || has
		delete(c, "buildInfo")
		var err error
		if encoded[i], err = c.encode(); err != nil {
			return err
		}
	}
	if !dropped {
		return nil
	}
	list, err := message.Encode(encoded)
	o["containers"] = list
	return err
}

func objectOf(raw []byte) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	if o == nil {
		return nil, fmt.Errorf("%w: null where an object is due", retry.ErrGarbled)
	}
	return o, nil
}

// edit changes the object in a field.
func (o object) edit(name string, change func(object) error) error {
	if o[name] == nil {
		return errors.New("the job that Cloud Run answers has no template")
	}
	inner, err := objectOf(o[name])
	if err != nil {
		return err
	}
	if err := change(inner); err != nil {
		return err
	}
	o[name], err = inner.encode()
	return err
}

func (o object) encode() ([]byte, error) { return message.Encode(map[string]json.RawMessage(o)) }
