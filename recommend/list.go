package recommend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"sync"

	"github.com/runidentity/runidentity/internal/retry"
)

// A ListError says which listing failed. The other listings go on.
type ListError struct {
	Project, Location string
	// Kind is a recommender or an insight type, such as [RecommenderIAMPolicy].
	Kind string
	// Err wraps [ErrAPIDisabled] or [ErrDenied] if that is why.
	Err error
}

// Error returns a text that says what could not be listed.
func (e *ListError) Error() string {
	return fmt.Sprintf("list %s of project %s in %s: %v", e.Kind, e.Project, e.Location, e.Err)
}

// Unwrap returns Err.
func (e *ListError) Unwrap() error { return e.Err }

// concurrency is how many listings are under way at a time.
const concurrency = 16

// A listing is one of the lists that a query means.
type listing struct{ project, location, collection, kind, items string }

func (l listing) parent() string {
	return "projects/" + l.project + "/locations/" + l.location + "/" + l.collection + "/" + l.kind + "/" + l.items
}

// insightsOf is the type of the insights that a recommender's follow from.
var insightsOf = map[string]string{RecommenderRunIdentity: InsightTypeRunIdentity, RecommenderIAMPolicy: InsightTypeIAMPolicy}

// regional reports whether a recommender or insight type lives in regions.
func regional(kind string) bool {
	return kind == RecommenderRunIdentity || kind == InsightTypeRunIdentity
}

// pages reads a listing page by page, and calls each with the items' JSON until
// it returns false.
func (c *Client) pages(ctx context.Context, l listing, filter string, each func(json.RawMessage) bool) error {
	query := url.Values{"pageSize": {"500"}}
	if filter != "" {
		query.Set("filter", filter)
	}
	seen := make(map[string]bool) // tokens
	for {
		p, err := c.page(ctx, l, query)
		if err == nil && seen[p.next] {
			err = fmt.Errorf("the page token %.40q came twice: the listing would never end", p.next)
		}
		if err != nil {
			return &ListError{Project: l.project, Location: l.location, Kind: l.kind, Err: told(err)}
		}
		for _, item := range p.items {
			if !each(item) {
				return nil
			}
		}
		if p.next == "" {
			return nil
		}
		seen[p.next] = true
		query.Set("pageToken", p.next)
	}
}

// A page is one of a listing.
type page struct {
	items []json.RawMessage
	next  string
}

// page reads one page. An empty one has no fields at all: an answer that has
// some, and none of a page's, is of something else.
func (c *Client) page(ctx context.Context, l listing, query url.Values) (page, error) {
	return retry.Do(ctx, func() (page, error) {
		var p page
		raw, err := c.do(ctx, http.MethodGet, l.parent(), query, nil)
		if err != nil {
			return p, err
		}
		var fields map[string]json.RawMessage
		err = json.Unmarshal(raw, &fields)
		known := 0
		for name, into := range map[string]any{l.items: &p.items, "nextPageToken": &p.next} {
			if text, ok := fields[name]; ok && err == nil {
				err = json.Unmarshal(text, into)
				known++
			}
		}
		if err == nil && len(fields) > 0 && known == 0 {
			err = errors.New("it is no listing")
		}
		if err != nil {
			return p, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
		}
		return p, nil
	})
}

// List lists recommendations. It reads projects and regions side by side, and
// yields what comes in no particular order. If a listing fails, List yields a
// [*ListError] and goes on with the others. If ctx ends, the last thing that List
// yields is its error.
//
// List takes at least one project. Each is an id or a number. A project that is named
// twice, or by both, is listed twice. If something is wrong with the arguments, List
// yields one error, which is no [*ListError], and calls nothing.
func (c *Client) List(ctx context.Context, projects []string, opts *ListOptions) iter.Seq2[Recommendation, error] {
	return func(yield func(Recommendation, error) bool) {
		q := opts.query(projects)
		listings, err := q.validate("recommenders", []string{RecommenderRunIdentity, RecommenderIAMPolicy})
		if err != nil {
			yield(Recommendation{}, fmt.Errorf("list recommendations: %w", err))
			return
		}
		var jobs []job
		for _, l := range listings {
			jobs = append(jobs, func(ctx context.Context, send func(Recommendation, error) bool) { c.list(ctx, q, l, send) })
		}
		gather(ctx, jobs, yield)
	}
}

// list reads one listing, with its insights if that is asked for.
func (c *Client) list(ctx context.Context, q query, l listing, send func(Recommendation, error) bool) {
	var insights map[string]Insight
	var insightsErr error
	var wg sync.WaitGroup
	if q.withInsights {
		wg.Go(func() { insights, insightsErr = c.insightsByName(ctx, l) })
	}
	defer wg.Wait()
	first := true
	err := c.pages(ctx, l, q.filter(l.items), func(raw json.RawMessage) bool {
		r, err := DecodeRecommendation(raw)
		if err != nil {
			return send(Recommendation{Raw: raw, Why: err.Error()}, nil)
		}
		if !q.takes(r) {
			return true
		}
		if first { // those of the whole location, read meanwhile
			wg.Wait()
			first = false
		}
		r.join(insights)
		return send(r, nil)
	})
	if err != nil {
		send(Recommendation{}, err)
	}
	wg.Wait()
	if insightsErr != nil {
		send(Recommendation{}, insightsErr)
	}
}

func (c *Client) insightsByName(ctx context.Context, l listing) (map[string]Insight, error) {
	in := listing{l.project, l.location, "insightTypes", insightsOf[l.kind], "insights"}
	all := make(map[string]Insight)
	err := c.pages(ctx, in, "", func(raw json.RawMessage) bool {
		if i, err := DecodeInsight(raw); err == nil {
			all[i.Name] = i
		}
		return true
	})
	return all, err
}

// join adds the insights that a recommendation follows from.
func (r *Recommendation) join(insights map[string]Insight) {
	for _, name := range r.InsightNames {
		i, ok := insights[name]
		if !ok {
			continue
		}
		r.Insights = append(r.Insights, i)
		if r.Observed == 0 {
			r.Observed = i.Observed
		}
	}
}

// Insights lists insights, as [Client.List] lists recommendations.
func (c *Client) Insights(ctx context.Context, projects []string, opts *InsightsOptions) iter.Seq2[Insight, error] {
	return func(yield func(Insight, error) bool) {
		q := opts.query(projects)
		listings, err := q.validate("insightTypes", []string{InsightTypeRunIdentity, InsightTypeIAMPolicy, InsightTypeServiceAccount})
		if err != nil {
			yield(Insight{}, fmt.Errorf("list insights: %w", err))
			return
		}
		var jobs []func(context.Context, func(Insight, error) bool)
		for _, l := range listings {
			jobs = append(jobs, func(ctx context.Context, send func(Insight, error) bool) {
				err := c.pages(ctx, l, q.filter(l.items), func(raw json.RawMessage) bool {
					i, err := DecodeInsight(raw)
					return err != nil || !q.takesInsight(i) || send(i, nil)
				})
				if err != nil {
					send(Insight{}, err)
				}
			})
		}
		gather(ctx, jobs, yield)
	}
}

// A job lists recommendations, and sends each until that returns false.
type job = func(ctx context.Context, send func(Recommendation, error) bool)

// gather runs jobs side by side and yields what they send. When it returns, none
// is under way.
func gather[V any](ctx context.Context, jobs []func(context.Context, func(V, error) bool), yield func(V, error) bool) {
	type result struct {
		value V
		err   error
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
	send := func(v V, err error) bool {
		select {
		case results <- result{v, err}:
			return true
		case <-inner.Done():
			return false
		}
	}
	next := make(chan func(context.Context, func(V, error) bool))
	var wg sync.WaitGroup
	for range min(concurrency, len(jobs)) {
		wg.Go(func() {
			for job := range next {
				job(inner, send)
			}
		})
	}
	wg.Go(func() {
		defer close(next)
		for _, job := range jobs {
			select {
			case next <- job:
			case <-inner.Done():
				return
			}
		}
	})
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	defer func() {
		cancel()
		<-done
	}()
	var zero V
	for {
		select {
		case r := <-results:
			if ctx.Err() != nil {
				yield(zero, context.Cause(ctx))
				return
			}
			if !yield(r.value, r.err) {
				return
			}
		case <-done:
			if ctx.Err() != nil {
				yield(zero, context.Cause(ctx))
			}
			return
		}
	}
}
