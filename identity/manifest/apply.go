package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// ApplyOptions change how [Client.Apply] works. Nil means the zero value.
type ApplyOptions struct {
	// Project and Region are for documents that name none: see
	// [Document.Workload]. If a document names one, it has to agree.
	Project, Region string
	// ValidateOnly makes the server check the document and the caller's
	// permissions, and change nothing.
	ValidateOnly bool
	// NoWait makes Apply return when the server has accepted the document, not
	// when the workload is ready.
	NoWait bool
}

// Applied is the outcome of [Client.Apply].
type Applied struct {
	Workload identity.Workload `json:"workload"`
	// Created reports whether the workload was created, or would be with
	// ValidateOnly. It is false beside an error if that is not known.
	Created bool `json:"created"`
	// Old is the identity before. It is zero if the workload was created, or named
	// no address of a service account.
	Old identity.ServiceAccount `json:"old,omitzero"`
	// New is the identity after, as the server answered. If the document names
	// none, it may be the address of the project's default one. It is zero if the
	// server is not known to have accepted the document.
	New identity.ServiceAccount `json:"new"`
	// Generation is the generation of what was applied. It is the old one if
	// nothing differed, and 0 if the server is not known to have accepted the
	// document. With ValidateOnly it is the one that the server answered.
	Generation int64 `json:"generation"`
	// Done reports whether the workload is known to be ready in that generation.
	// It is false with ValidateOnly and NoWait.
	Done bool `json:"done"`
}

// Apply creates or replaces the workload that [File.Documents] has at index i, as
// this command does:
//
//	gcloud run jobs replace job.yaml
//
// Services and worker pools work likewise. Apply calls version 1 of the API. It
// sends everything that the document says, including fields that no client knows.
// It also sends the resourceVersion that it read just before, so that a change
// that someone else makes meanwhile is not lost. Then it waits until the workload
// is ready. It does not add gcloud's own annotations
// (run.googleapis.com/client-name). What the document doesn't say is removed from
// the workload, or gets the server's default.
//
// If Apply refuses the document before it sends anything, or if there is no such
// document, the error is an [*Error]. It doesn't wrap [ErrNothingToEdit]. If Cloud
// Run refuses it, the error wraps [identity.ErrConflict] (read the workload again
// and decide), [identity.ErrActAsDenied] or [identity.ErrAgentTokenDenied] where it
// is one of these, and the server's *googleapi.Error. If the workload does not
// become ready, the error is an [*identity.OperationError]. If the outcome is not
// known, it is an [*identity.UnfinishedError]. Apply returns what is known by then
// beside the error.
//
// https://cloud.google.com/sdk/gcloud/reference/run/jobs/replace
func (c *Client) Apply(ctx context.Context, f *File, i int, opts *ApplyOptions) (Applied, error) {
	if i < 0 || i >= len(f.Documents) {
		return Applied{}, &Error{File: f.Name, Err: fmt.Errorf("it has %d documents, and none of index %d", len(f.Documents), i)}
	}
	if opts == nil {
		opts = new(ApplyOptions)
	}
	a := &application{client: c, options: *opts}
	if err := a.prepare(f, i); err != nil {
		return Applied{}, err
	}
	err := a.run(ctx)
	if err != nil {
		err = fmt.Errorf("apply %s: %w", a.result.Workload, err)
	}
	return a.result, err
}

// application is one document on its way.
type application struct {
	client  *Client
	options ApplyOptions
	body    object // what is sent
	uid     string // of the workload that was written, if the server tells
	result  Applied
}

// prepare makes the message of the document.
func (a *application) prepare(f *File, i int) error {
	w, err := f.Documents[i].workload(a.options.Project, a.options.Region)
	if err != nil {
		return &Error{File: f.Name, Line: f.Documents[i].Line, Err: err}
	}
	if a.body, err = f.object(f.tops[i]); err != nil {
		return err
	}
	if at(a.body, "spec", "template") == nil {
		return f.at(f.tops[i], "spec.template is missing: it describes what the %v runs", w.Kind)
	}
	delete(a.body, "status")
	metadata := child(a.body, "metadata")
	metadata["namespace"] = w.Project
	delete(metadata, "resourceVersion")
	a.result.Workload = w
	return nil
}

func (a *application) run(ctx context.Context) error {
	old, err := a.client.read(ctx, a.result.Workload)
	switch {
	case errors.Is(err, identity.ErrNotFound):
	case err != nil:
		return err
	default:
		version := textAt(old, "metadata", "resourceVersion")
		if version == "" {
			return errors.New("the server doesn't tell its metadata.resourceVersion, without which a write would undo those of others")
		}
		a.result.Old = accountIn(a.result.Workload.Kind, old)
		child(a.body, "metadata")["resourceVersion"] = version
	}
	answer, err := a.send(ctx, old)
	if err != nil {
		return err
	}
	a.result.Created = old == nil
	a.uid = textAt(answer, "metadata", "uid")
	a.result.New = accountIn(a.result.Workload.Kind, answer)
	a.result.Generation = numberAt(answer, "metadata", "generation")
	if a.options.ValidateOnly || a.options.NoWait {
		return nil
	}
	return a.await(ctx, answer)
}

// accountIn is the identity in a workload's JSON, zero if it is no address.
func accountIn(k identity.Kind, o object) identity.ServiceAccount {
	sa, _ := identity.ParseServiceAccount(textAt(o, append(specPath(k), identityKey)...))
	return sa
}

// send writes the document. It may be sent again: a creation and the
// resourceVersion of a replacement succeed once only, and what is then refused
// has been done before.
func (a *application) send(ctx context.Context, old object) (object, error) {
	body, err := json.Marshal(a.body)
	if err != nil {
		return nil, err
	}
	verb, id := http.MethodPut, a.result.Workload.ID
	if old == nil {
		verb, id = http.MethodPost, ""
	}
	query := url.Values{}
	if a.options.ValidateOnly {
		query.Set("dryRun", "all")
	}
	var backoff retry.Backoff
	open := false // whether an earlier attempt may have had its effect
	for {
		answer, err := a.client.do(ctx, verb, a.result.Workload, id, query, body)
		if err == nil {
			return answer, nil
		}
		if open && (errors.Is(err, identity.ErrConflict) || errors.Is(err, identity.ErrAlreadyExists)) {
			return a.look(ctx, old, err)
		}
		open = open || retry.Ambiguous(err) && !a.options.ValidateOnly
		if final := backoff.Wait(ctx, err); final != nil {
			if open {
				return nil, &identity.UnfinishedError{Err: final}
			}
			return nil, final
		}
	}
}

// look finds out whether it was an attempt of ours that got in the way of the
// next one. A write of someone else's that came first makes the server refuse all
// of ours; one that came later may have come after ours.
func (a *application) look(ctx context.Context, old object, refused error) (object, error) {
	live, err := a.client.read(ctx, a.result.Workload)
	if err != nil {
		return nil, &identity.UnfinishedError{Err: errors.Join(refused, err)}
	}
	next := numberAt(live, "metadata", "generation") == numberAt(old, "metadata", "generation")+1
	switch {
	case !next, old != nil && isAnother(live, textAt(old, "metadata", "uid")):
		return nil, &identity.UnfinishedError{Err: refused}
	case !message.Contains(live["spec"], a.body["spec"]):
		return nil, refused
	}
	return live, nil
}

// isAnother reports whether a workload has another uid than that: it was deleted, and
// made anew under its name.
func isAnother(o object, uid string) bool {
	told := textAt(o, "metadata", "uid")
	return told != "" && uid != "" && told != uid
}

// await reads the workload until it is ready in our generation.
func (a *application) await(ctx context.Context, live object) error {
	var backoff retry.Backoff
	for {
		generation := numberAt(live, "metadata", "generation")
		observed, said := at(live, "status", "observedGeneration").(json.Number)
		condition := ready(live)
		switch {
		case isAnother(live, a.uid):
			return &identity.UnfinishedError{Err: fmt.Errorf("%w: it was deleted and made anew", identity.ErrConflict)}
		case generation < a.result.Generation && a.uid == "":
			return &identity.UnfinishedError{Err: fmt.Errorf("%w: it is back at generation %d, ours is %d",
				identity.ErrConflict, generation, a.result.Generation)}
		case generation < a.result.Generation: // a read that is behind
		case generation > a.result.Generation:
			return &identity.UnfinishedError{Err: fmt.Errorf("%w: it is at generation %d, ours is %d",
				identity.ErrConflict, generation, a.result.Generation)}
		case said && observed.String() != strconv.FormatInt(generation, 10):
		case condition["status"] == "True":
			a.result.Done = true
			a.result.New = accountIn(a.result.Workload.Kind, live)
			return nil
		case condition["status"] == "False":
			return &identity.OperationError{Reason: rest.Harmless(textAt(condition, "reason")), Message: rest.Harmless(textAt(condition, "message"))}
		}
		if err := backoff.Pause(ctx, errors.New("the workload is not ready yet")); err != nil {
			return &identity.UnfinishedError{Err: err}
		}
		var err error
		if live, err = a.client.read(ctx, a.result.Workload); err != nil {
			return &identity.UnfinishedError{Err: err}
		}
	}
}

// ready is the condition that tells how a workload is.
func ready(o object) object {
	list, _ := at(o, "status", "conditions").([]any)
	for _, item := range list {
		if c, _ := item.(object); c["type"] == "Ready" {
			return c
		}
	}
	return nil
}
