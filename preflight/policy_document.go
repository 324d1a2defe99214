package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// A policyDocument is a policy in the JSON in which it came. A fix that changes a
// part of it sends the rest back as it was: the generated types would lose what
// they don't know, and what they take for absent, such as enforce: false.
type policyDocument map[string]any

// readPolicy reads a policy by its name. path is that under which the API has it.
func readPolicy(ctx context.Context, api *rest.Client, path, name string) (policyDocument, error) {
	p, err := read(ctx, func() (*policyDocument, error) {
		raw, err := api.Do(ctx, http.MethodGet, path, nil, nil)
		if err != nil {
			return nil, err
		}
		var p *policyDocument // nil if the answer is null
		if err := message.Decode(raw, &p); err != nil {
			return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
		}
		return p, nil
	}, func(p *policyDocument) string {
		told, _ := (*p)["name"].(string)
		return differs(told, name)
	})
	if err != nil {
		return nil, err
	}
	return *p, nil
}

// send writes a policy, and returns the answer.
func (p policyDocument) send(ctx context.Context, api *rest.Client, verb, path string, query url.Values) ([]byte, error) {
	body, err := message.Encode(p)
	if err != nil {
		return nil, err
	}
	return api.Do(ctx, verb, path, query, body)
}

// into reads the policy into a generated type, which is for looking only.
func (p policyDocument) into(v any) error {
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return nil
}

// denyRule returns a rule of a deny policy, which look has found there. Other than
// the generated types, it takes no key in another case for one of Google's.
func (p policyDocument) denyRule(i int) (map[string]any, error) {
	rules, _ := p["rules"].([]any)
	if i < len(rules) {
		rule, _ := rules[i].(map[string]any)
		if deny, ok := rule["denyRule"].(map[string]any); ok {
			return deny, nil
		}
	}
	return nil, fmt.Errorf("%w: rule %d of the policy has no denyRule", retry.ErrGarbled, i)
}
