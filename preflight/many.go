package preflight

import (
	"context"
	"iter"
	"sync"
)

// CheckAll checks many targets, several at a time, and yields the reports as
// they come; [Report.Target] says of what. What targets have in common is read
// once: a project, an account, a role, a policy. A target that can't be checked
// yields an error with a report that has the target only, and the rest goes on.
//
// targets is read from another goroutine, while reports are yielded. When ctx
// ends, or the loop is left, nothing of it is under way any more, as soon as
// targets returns. If ctx ended, the last thing that is yielded is its error.
func (c *Checker) CheckAll(ctx context.Context, targets iter.Seq[Target], opts ...Option) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		o := collect(opts)
		r := newReader(c, o)
		inner, cancel := context.WithCancel(ctx)
		defer cancel()

		type result struct {
			report Report
			err    error
		}
		work := make(chan Target)
		results := make(chan result)
		var workers sync.WaitGroup
		for range o.concurrency {
			workers.Go(func() {
				for t := range work {
					report, err := r.check(inner, t)
					select {
					case results <- result{report, err}:
					case <-inner.Done():
						return
					}
				}
			})
		}
		workers.Go(func() {
			defer close(work)
			for t := range targets {
				select {
				case work <- t:
				case <-inner.Done():
					return
				}
			}
		})
		finished := make(chan struct{})
		go func() {
			workers.Wait()
			close(finished)
		}()
		// Whatever ends the loop, nothing stays behind.
		defer func() {
			cancel()
			<-finished
		}()

		done := 0
		for {
			select {
			case res := <-results:
				if inner.Err() != nil {
					yield(Report{}, context.Cause(ctx))
					return
				}
				done++
				if o.progress != nil {
					o.progress(done)
				}
				if !yield(res.report, res.err) {
					return
				}
			case <-finished:
				if ctx.Err() != nil {
					yield(Report{}, context.Cause(ctx))
				}
				return
			}
		}
	}
}
