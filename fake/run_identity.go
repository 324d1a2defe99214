package fake

import (
	"net/http"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// What Cloud Run asks of a service account before it takes a workload that
// runs as it. The checks are made on each create and patch, also if the patch
// changes something else.

const (
	actAs    = "iam.serviceAccounts.actAs"
	getToken = "iam.serviceAccounts.getAccessToken"
)

// checkIdentity refuses a service account that the caller may not attach, or
// that the project's service agent may not mint tokens for.
func (c *call) checkIdentity(st *state, p *project, email string) error {
	if c.caller.member == Admin {
		return nil
	}
	a := st.accounts[email]
	if a == nil || a.email != email || a.deleted || a.disabled || !a.visible(c.now) || !c.may(st, actAs, &a.node) {
		return wire.Denied("Permission 'iam.serviceaccounts.actAs' denied on service account %s (or it may not exist).", email)
	}
	if a.project != p && st.enforced(crossProjectConstraint, &a.project.node, true) {
		return c.crossProjectError(st, p, a)
	}
	if !p.agent || !c.has(st, "serviceAccount:"+p.runAgent(), getToken, &a.node) {
		return wire.Denied("Google Cloud Run Service Agent does not have permission to get access tokens for the service account %s. "+
			"Please give %s permission iam.serviceAccounts.getAccessToken on the service account. "+
			"Alternatively, if the service account is unspecified or in the same project you are deploying in, "+
			"ensure that the Service Agent is assigned the Google Cloud Run Service Agent role roles/run.serviceAgent.",
			email, p.runAgent())
	}
	return nil
}

// SetCrossProjectText makes the refusal of a service account whose project
// enforces iam.disableCrossProjectServiceAccountUsage read otherwise; %s
// stands for the account, and "" is the default. No public source records what Cloud Run answers: the
// default, status 400 FAILED_PRECONDITION with a google.rpc.PreconditionFailure,
// is modelled on sibling constraints of IAM and is UNVERIFIED.
func (b *Backend) SetCrossProjectText(text string) {
	b.write(time.Now(), func(st *state) { st.crossProjectText = text })
}

const defaultCrossProjectText = "Constraint constraints/iam.disableCrossProjectServiceAccountUsage violated for service account %s."

func (c *call) crossProjectError(st *state, p *project, a *account) *wire.Error {
	text := st.crossProjectText
	if text == "" {
		text = defaultCrossProjectText
	}
	text = strings.ReplaceAll(text, "%s", a.email)
	e := wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "%s", text)
	e.Details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.PreconditionFailure",
		"violations": []any{map[string]string{
			"type": "constraints/" + crossProjectConstraint, "subject": "projects/" + p.id, "description": text,
		}},
	}}
	return e
}

// checkEnabled refuses calls for a project in which the method's API is off.
func (c *call) checkEnabled(st *state, p *project) error {
	service := c.api.Host
	if st.serviceEnabled(p, service, c.now) {
		return nil
	}
	e := disabledAPI(c.api.Title, service, p)
	return e
}

// disabledAPI returns the answer of any API that is off in a project.
func disabledAPI(title, service string, p *project) *wire.Error {
	console := "https://console.developers.google.com/apis/api/" + service + "/overview?project=" + p.id
	e := wire.Denied("%s has not been used in project %s before or it is disabled. Enable it by visiting %s then retry. "+
		"If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.", title, p.id, console)
	e.Details = []any{
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
			"metadata": map[string]string{
				"service": service, "consumer": "projects/" + p.id, "serviceTitle": title, "containerInfo": p.id, "activationUrl": console,
			},
		},
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.Help",
			"links": []any{map[string]string{"description": "Google developers console API activation", "url": console}},
		},
	}
	return e
}
