package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/runidentity/runidentity/recommend"
)

// carryOut applies a plan, of which file, if any, has a copy.
func (p *program) carryOut(ctx context.Context, plan recommend.Plan, file string, a *answer) error {
	opts := recommend.ApplyOptions{DryRun: p.dryRun}
	if !p.live {
		opts.Settle = -1 // grants take no time there
	}
	apply := p.recs.Apply
	if p.takeOver {
		apply = p.recs.TakeOver
	}
	result, err := apply(ctx, plan, p.owner, &opts)
	result.Recommendation.Raw = nil
	if len(result.Steps) > 0 {
		a.Result = &result
	}
	if err != nil && file != "" && result.Recommendation.State != recommend.StateFailed {
		err = fmt.Errorf("%w\nthe plan is in %s, for -resume", err, file)
	}
	return err
}

// save writes a plan to a file that must not be there: what it had might be the
// only copy of a plan that was begun.
func save(name string, plan recommend.Plan) error {
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the user names the file
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: -resume applies the plan in it, -save needs a new file", err)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // half of a plan is none
	}
	return nil
}

// load reads what save wrote.
func load(name string) (recommend.Plan, error) {
	var plan recommend.Plan
	text, err := os.ReadFile(name) //nolint:gosec // the user names the file
	if err != nil {
		return plan, err
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		return plan, fmt.Errorf("read the plan in %s: %w", name, err)
	}
	return plan, nil
}
