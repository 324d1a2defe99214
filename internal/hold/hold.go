// Package hold lets whoever may write only as long as they hold something, such
// as the claim of a recommendation, have that looked after where their writes are
// made: one that failed may be repeated minutes later, by packages that know
// nothing of the claim.
package hold

import "context"

type key struct{}

// With returns a context under which every repeated write is preceded by renew.
func With(ctx context.Context, renew func(context.Context) error) context.Context {
	return context.WithValue(ctx, key{}, renew)
}

// Renew shows that what has to be held still is. It is called right before each
// write but the first of an operation, before which whoever began the operation
// has shown it. If Renew returns an error, the write must not be made. Without
// [With], there is nothing to hold.
func Renew(ctx context.Context) error {
	renew, ok := ctx.Value(key{}).(func(context.Context) error)
	if !ok {
		return nil
	}
	return renew(ctx)
}
