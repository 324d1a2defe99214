package recommend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// What the API allows in the metadata of a state.
//
// https://cloud.google.com/recommender/docs/reference/rest/v1/projects.locations.recommenders.recommendations/markClaimed
var (
	metadataKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	metadataValue = regexp.MustCompile(`^[a-zA-Z0-9_./-]{0,255}$`)
)

// checkMetadata refuses what the API would.
func checkMetadata(metadata map[string]string) error {
	for key, v := range metadata {
		if !metadataKey.MatchString(key) {
			return fmt.Errorf("metadata key %q: it must be lower-case letters, digits, '_', '.' and '-', at most 63 and the first a letter or digit, such as %q", key, "owner")
		}
		if !metadataValue.MatchString(v) {
			return fmt.Errorf("metadata %s=%q: a value may have letters, digits, '_', '.', '/' and '-' only, at most 255, so no email and no time; such as %q", key, v, "deploy-bot/42")
		}
	}
	return nil
}

// Claim marks a recommendation as claimed: someone is about to apply it. Google
// no longer changes a claimed recommendation. The metadata replaces the one that
// the recommendation has; nil leaves it with none. Its values have letters, digits
// and '_', '.', '/', '-' only, so no email.
//
// Google also takes a claim of what someone else has claimed. What keeps two of them
// apart is the etag: read the recommendation first.
//
// Claim returns the recommendation as it is then. The error wraps [ErrChanged] if
// the recommendation changed since it was read. It is an
// [*identity.UnfinishedError] if the answer got lost: the claim may hold.
func (c *Client) Claim(ctx context.Context, r Recommendation, metadata map[string]string) (Recommendation, error) {
	return c.mark(ctx, r, "markClaimed", StateClaimed, metadata)
}

// Succeed marks a recommendation as succeeded: it was applied. It need not be
// claimed. Otherwise Succeed works as [Client.Claim] does.
func (c *Client) Succeed(ctx context.Context, r Recommendation, metadata map[string]string) (Recommendation, error) {
	return c.mark(ctx, r, "markSucceeded", StateSucceeded, metadata)
}

// Fail marks a recommendation as failed: applying it failed. It need not be claimed.
// Otherwise Fail works as [Client.Claim] does.
func (c *Client) Fail(ctx context.Context, r Recommendation, metadata map[string]string) (Recommendation, error) {
	return c.mark(ctx, r, "markFailed", StateFailed, metadata)
}

// Dismiss marks a recommendation as dismissed: nobody wants it. Google takes that
// for an active one only. Otherwise Dismiss works as [Client.Claim] does, without
// metadata.
func (c *Client) Dismiss(ctx context.Context, r Recommendation) (Recommendation, error) {
	return c.mark(ctx, r, "markDismissed", StateDismissed, nil)
}

func (c *Client) mark(ctx context.Context, r Recommendation, verb string, state State, metadata map[string]string) (Recommendation, error) {
	out, err := c.markOnce(ctx, r, verb, state, metadata)
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", verb, r.Name, err)
	}
	out.Insights, out.Service = r.Insights, r.Service
	return out, nil
}

func (c *Client) markOnce(ctx context.Context, r Recommendation, verb string, state State, metadata map[string]string) (Recommendation, error) {
	switch {
	case r.Action == ActionUnusedAccount:
		return r, errors.New("it is an insight, whose state is not changed here")
	case r.Etag == "":
		return r, errors.New("it has no etag: read it first")
	}
	if err := checkName(r.Name); err != nil {
		return r, err
	}
	if err := checkMetadata(metadata); err != nil {
		return r, err
	}
	req := map[string]any{"etag": r.Etag}
	if len(metadata) > 0 {
		req["stateMetadata"] = metadata
	}
	body, err := json.Marshal(req)
	if err != nil {
		return r, err
	}
	marked := func(now Recommendation) bool {
		// What becomes of the metadata of what is dismissed is not documented.
		return now.State == state && (state == StateDismissed || sameMetadata(now.Metadata, metadata))
	}
	var failures retry.Backoff
	for open := false; ; {
		now, err := c.answer(ctx, http.MethodPost, r.Name, verb, body)
		if err == nil && (!marked(now)) {
			err = fmt.Errorf("%w: it says %s %v", retry.ErrGarbled, now.State, now.Metadata)
		}
		if err == nil {
			return now, nil
		}
		open = open || retry.Ambiguous(err)
		if open && rest.HasCode(err, http.StatusConflict) {
			// The attempt before may have been the one that changed the etag.
			now, getErr := c.Get(ctx, r.Name)
			if getErr == nil && marked(now) {
				return now, nil
			}
			if getErr == nil && now.Etag != r.Etag {
				open = false // what was sent can't take effect any more
			}
		}
		final := failures.Wait(ctx, err)
		switch {
		case final == nil:
		case !open:
			return r, final
		default:
			if now, err := c.Get(ctx, r.Name); err == nil && marked(now) {
				return now, nil
			}
			return r, &identity.UnfinishedError{Err: final}
		}
	}
}

func sameMetadata(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, v := range a {
		if b[key] != v {
			return false
		}
	}
	return true
}
