package preflight_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/preflight"
)

// A Fixer that wasn't made by NewFixer, and none, say what to do.
func TestZeroFixer(t *testing.T) {
	t.Parallel()
	report := sample()
	b := newCloud(t)
	c := newChecker(t, b, dev)
	for _, f := range []*preflight.Fixer{nil, new(preflight.Fixer)} {
		steps, err := f.Apply(t.Context(), preflight.Fixes(report), nil)
		require.ErrorContains(t, err, "make it with preflight.NewFixer")
		assert.Empty(t, steps)
		same, steps, err := f.Repair(t.Context(), c, report, nil)
		require.ErrorContains(t, err, "make it with preflight.NewFixer")
		assert.Empty(t, steps)
		assert.Equal(t, report, same)
	}
	_, _, err := newFixer(t, b).Repair(t.Context(), nil, report, nil)
	require.ErrorContains(t, err, "make it with preflight.NewChecker")
	_, _, err = newFixer(t, b).Repair(t.Context(), c, preflight.Report{}, nil)
	require.ErrorContains(t, err, "nothing was checked")
	assert.Empty(t, b.Calls())
}

// A zero Checker calls nothing, and its report says what to do; a nil one is an
// error.
func TestZeroChecker(t *testing.T) {
	t.Parallel()
	target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}
	report, err := new(preflight.Checker).Check(t.Context(), target, nil)
	require.NoError(t, err)
	assert.Equal(t, preflight.Unknown, report.Verdict())
	require.ErrorContains(t, report.ErrStrict(), "preflight.NewChecker")

	var c *preflight.Checker
	report, err = c.Check(t.Context(), target, nil)
	require.ErrorContains(t, err, "make it with preflight.NewChecker")
	assert.Equal(t, preflight.Report{Target: target}, report)
	n := 0
	for _, err := range c.CheckAll(t.Context(), slices.Values([]preflight.Target{target}), nil) {
		require.ErrorContains(t, err, "make it with preflight.NewChecker")
		n++
	}
	assert.Equal(t, 1, n)
}

// Options that are nil, and those that are zero, are the same.
func TestZeroOptions(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	c := newChecker(t, b, auditor)
	target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}
	assert.Equal(t, check(t, c, target), check(t, c, target, &preflight.CheckOptions{}))
	for _, opts := range []*preflight.CheckAllOptions{nil, {}, {Concurrency: -1}} {
		n := 0
		for report, err := range c.CheckAll(t.Context(), slices.Values([]preflight.Target{target, target}), opts) {
			require.NoError(t, err)
			assert.Equal(t, preflight.Pass, report.Verdict())
			n++
		}
		assert.Equal(t, 2, n)
	}
	fix := preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "data-prod"}
	for _, opts := range []*preflight.ApplyOptions{nil, {}} {
		steps, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{fix}, opts)
		require.NoError(t, err)
		assert.Equal(t, []preflight.Step{{Fix: fix, Outcome: preflight.OutcomeSkipped}}, steps)
	}
}

// A report of nothing is no success.
func TestEmptyReportIsAnError(t *testing.T) {
	t.Parallel()
	for name, report := range map[string]preflight.Report{"no target": {}, "a target": {Target: preflight.Target{Workload: job}}} {
		assert.Equal(t, preflight.Unknown, report.Verdict(), name)
		require.ErrorContains(t, report.Err(), "nothing was checked", name)
		require.ErrorContains(t, report.ErrStrict(), "nothing was checked", name)
		assert.Contains(t, report.String(), "nothing was checked", name)
		assert.Contains(t, report.Markdown(), "nothing was checked", name)
	}
}
