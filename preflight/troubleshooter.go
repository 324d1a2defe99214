package preflight

import (
	"context"

	"google.golang.org/api/policytroubleshooter/v3"

	"github.com/runidentity/runidentity/internal/access"
)

// troubleshoot asks Policy Troubleshooter. Its answer is Unknown where it can't
// tell, may not be asked, or knows no such principals.
//
// https://cloud.google.com/policy-intelligence/docs/troubleshoot-access
func (r *reader) troubleshoot(ctx context.Context, who principal, permission string, at resource) decision {
	d := decision{evidence: Evidence{Method: ByTroubleshooter}}
	if k := who.member.Kind(); k != access.KindUser && k != access.KindServiceAccount {
		return d
	}
	type request = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest
	type response = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyResponse
	answer, err := ask(ctx, r, "policytroubleshooter", r.c.Troubleshooter != nil, func(ctx context.Context) (*response, error) {
		return r.c.Troubleshooter.Iam.Troubleshoot(&request{
			AccessTuple: &policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple{
				Principal: who.member.Email(), FullResourceName: at.full, Permission: permission,
			},
		}).Context(ctx).Do()
	})
	if err != nil {
		return d
	}
	switch answer.OverallAccessState {
	case "CAN_ACCESS":
		d.outcome = access.Granted
	case "CANNOT_ACCESS":
		d.outcome = access.Denied
		if e := answer.DenyPolicyExplanation; e != nil {
			d.byDeny = e.DenyAccessState == "DENY_ACCESS_STATE_DENIED"
		}
	}
	return d
}
