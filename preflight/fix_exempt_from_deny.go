package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/render"
	"github.com/runidentity/runidentity/internal/retry"
)

// exemptFromDeny is what [FixExemptFromDeny] does.
type exemptFromDeny Fix

func (f *exemptFromDeny) fields() []field {
	return []field{
		{name: "policy", at: &f.Policy}, {name: "rule", at: &f.Rule},
		{name: "permission", at: &f.Permission, optional: true}, {name: "principal", at: &f.Principal, optional: true},
		{name: "member", at: &f.Member},
	}
}

func (f *exemptFromDeny) check() error {
	switch {
	case !strings.Contains(f.Policy, "/denypolicies/"):
		return lacks(f, "the policy's full name", "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123/denypolicies/freeze")
	case f.Member == "":
		return nobody(f)
	}
	return nil
}

func (f *exemptFromDeny) text() string {
	return fmt.Sprintf("make %s an exception to rule %d of the deny policy %s", shortMember(memberOr(f.Member)), f.Rule, names.Last(f.Policy))
}

// attachedTo returns what the policy is attached to, as gcloud names it.
func (f *exemptFromDeny) attachedTo() string {
	parts := strings.Split(f.Policy, "/")
	if len(parts) < 2 {
		return ""
	}
	if plain, err := url.PathUnescape(parts[1]); err == nil {
		return url.PathEscape(plain)
	}
	return parts[1]
}

func (f *exemptFromDeny) gcloud() string {
	common := []string{names.Last(f.Policy), "--attachment-point=" + f.attachedTo(), "--kind=denypolicies"}
	get := render.Command(append([]string{"gcloud", "iam", "policies", "get"}, append(common, "--format=json")...)...)
	update := render.Command(append([]string{"gcloud", "iam", "policies", "update"}, append(common, "--policy-file=deny.json")...)...)
	return fmt.Sprintf("%s > deny.json\n# add %s to rules[%d].denyRule.exceptionPrincipals in deny.json, then:\n%s",
		get, render.Line(denyPrincipal(f.Member)), f.Rule, update)
}

func (f *exemptFromDeny) request() Request {
	return Request{
		Method: "iam.policies.update", Verb: "PUT", URL: "https://iam.googleapis.com/v2/" + f.Policy,
		Body: body(map[string]any{"rules": []any{map[string]any{"denyRule": map[string]any{"exceptionPrincipals": []string{denyPrincipal(f.Member)}}}}}),
	}
}

func (f *exemptFromDeny) sideEffect() string {
	return "the principal is exempt from the whole rule, whatever else it denies; takes iam.denypolicies.update, which roles/iam.denyAdmin has"
}

func (f *exemptFromDeny) changesGuardrail() bool { return true }

func (f *exemptFromDeny) apply(ctx context.Context, by *applier) (bool, error) {
	principal := denyPrincipal(f.Member)
	operations := "/denypolicies/" + names.Last(f.Policy) + "/operations/"
	var last policyDocument // as look read it
	return settle(ctx, change{
		look: func(ctx context.Context) (so bool, err error) {
			last, err = readPolicy(ctx, by.deny, "v2/"+f.Policy, f.Policy)
			if err != nil {
				return false, err
			}
			var now iamv2.GoogleIamV2Policy
			if err := last.into(&now); err != nil {
				return false, err
			}
			if f.Rule < 0 || f.Rule >= len(now.Rules) || now.Rules[f.Rule] == nil || now.Rules[f.Rule].DenyRule == nil {
				return false, fmt.Errorf("the policy has no rule %d any more: check again", f.Rule)
			}
			rule := now.Rules[f.Rule].DenyRule
			about := access.DenyRule{
				DeniedPermissions: rule.DeniedPermissions, ExceptionPermissions: rule.ExceptionPermissions, DeniedPrincipals: rule.DeniedPrincipals,
			}
			if f.Permission != "" && !about.Denies(f.Permission) {
				return false, fmt.Errorf("rule %d of the policy doesn't deny %s any more: check again", f.Rule, f.Permission)
			}
			if f.Principal != "" && !about.Names(f.Principal) {
				return false, fmt.Errorf("rule %d of the policy doesn't deny %s any more: check again", f.Rule, f.Principal)
			}
			return slices.Contains(rule.ExceptionPrincipals, principal), nil
		},
		write: func(ctx context.Context) (bool, error) {
			rule, err := last.denyRule(f.Rule)
			if err != nil {
				return false, err
			}
			exceptions, _ := rule["exceptionPrincipals"].([]any)
			rule["exceptionPrincipals"] = append(exceptions, principal)
			return by.await(ctx, func(started string) (operation, error) {
				var raw []byte
				var err error
				if started == "" {
					raw, err = last.send(ctx, by.deny, http.MethodPut, "v2/"+f.Policy, nil)
				} else {
					raw, err = by.deny.Do(ctx, http.MethodGet, "v2/"+started, nil, nil)
				}
				if err != nil {
					return operation{}, err
				}
				var op iamv2.GoogleLongrunningOperation
				if err := json.Unmarshal(raw, &op); err != nil {
					return operation{}, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
				}
				out := operation{name: op.Name, done: op.Done, ours: strings.Contains(op.Name, operations)}
				if op.Error != nil {
					out.done, out.failure = true, ended(op.Name, op.Error.Code, op.Error.Message)
				}
				return out, nil
			})
		},
	})
}
