package preflight

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// CheckAll checks many targets, several at a time, and yields each report as soon as it
// is there: [Report.Target] is what it is about. What targets have in common is read
// once: a project, an account, a role, a policy. For a target that can't be checked it
// yields an error, with a report that has the target only, and goes on with the others.
// If opts is nil, the defaults of [CheckAllOptions] hold.
//
// targets is read from another goroutine, while reports are yielded. No goroutine
// outlives the loop, whether it runs to its end, is left, or ctx ends: the loop waits
// until calls are cut short and targets has returned. If ctx ended, the last pair that
// is yielded is an empty report and its error.
func (c *Checker) CheckAll(ctx context.Context, targets iter.Seq[Target], opts *CheckAllOptions) iter.Seq2[Report, error] {
	var o CheckAllOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(Report, error) bool) {
		if c == nil {
			yield(Report{}, errNoChecker)
			return
		}
		if targets == nil {
			yield(Report{}, errNoTargets)
			return
		}
		inner, cancel := context.WithCancel(ctx)
		b := newReader(c, o.Check).checkSideBySide(inner, targets, o.concurrency())
		// Whatever ends the loop, nothing stays behind.
		defer func() {
			cancel()
			<-b.finished
		}()
		done := 0
		for {
			select {
			case res := <-b.results:
				if inner.Err() != nil {
					yield(Report{}, context.Cause(ctx))
					return
				}
				done++
				if o.Progress != nil {
					o.Progress(done)
				}
				if !yield(res.report, res.err) {
					return
				}
			case <-b.finished:
				if ctx.Err() != nil {
					yield(Report{}, context.Cause(ctx))
				}
				return
			}
		}
	}
}

// errNoTargets is the error of a nil sequence, over which nothing can range.
var errNoTargets = errors.New("the sequence of targets is nil")

// A batch is targets that are being checked.
type batch struct {
	results  chan checked
	finished chan struct{} // closed when no goroutine is left
}

type checked struct {
	report Report
	err    error
}

// checkSideBySide checks targets until they, or ctx, end.
func (r *reader) checkSideBySide(ctx context.Context, targets iter.Seq[Target], concurrency int) batch {
	b := batch{results: make(chan checked), finished: make(chan struct{})}
	underWay := make(chan struct{}, concurrency)
	var workers sync.WaitGroup
	workers.Go(func() {
		for t := range targets {
			select {
			case underWay <- struct{}{}:
			case <-ctx.Done():
				return
			}
			workers.Go(func() {
				defer func() { <-underWay }()
				report, err := r.check(ctx, t)
				select {
				case b.results <- checked{report, err}:
				case <-ctx.Done():
				}
			})
		}
	})
	go func() {
		workers.Wait()
		close(b.finished)
	}()
	return b
}
