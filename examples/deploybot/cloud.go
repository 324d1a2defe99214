package main

import (
	"context"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
	"github.com/runidentity/runidentity/preflight"
	"github.com/runidentity/runidentity/recommend"
)

// A cloud is what the bot works on.
type cloud struct {
	client  *identity.Client
	checker *preflight.Checker
	fixer   *preflight.Fixer
	// manifests applies them.
	manifests *manifest.Client
	// recommender reads recommendations.
	recommender *recommend.Client
	// backend is the cloud in memory, nil if it is the real one.
	backend *fake.Backend
}

// connect connects to the real cloud, with the same credentials for everything.
func connect(ctx context.Context) (*cloud, error) {
	return dial(ctx, nil, nil)
}

// connectToDemo makes a cloud in memory. Its fixes are applied by someone who
// may.
func connectToDemo(ctx context.Context) (*cloud, error) {
	return dialDemo(ctx, demo.NewBackend())
}

func dialDemo(ctx context.Context, b *fake.Backend) (*cloud, error) {
	c, err := dial(ctx, b.ClientOptions(demo.Deployer), b.ClientOptions(demo.Administrator))
	if err != nil {
		return nil, err
	}
	c.checker.Caller = demo.Deployer
	c.backend = b
	return c, nil
}

func dial(ctx context.Context, deployer, fixer []option.ClientOption) (*cloud, error) {
	var c cloud
	var err error
	if c.client, err = identity.NewClient(ctx, deployer...); err != nil {
		return nil, err
	}
	if c.manifests, err = manifest.NewClient(ctx, deployer...); err != nil {
		return nil, err
	}
	if c.checker, err = preflight.NewChecker(ctx, deployer...); err != nil {
		return nil, err
	}
	if c.recommender, err = recommend.NewClient(ctx, deployer...); err != nil {
		return nil, err
	}
	c.fixer, err = preflight.NewFixer(ctx, fixer...)
	return &c, err
}

// calls returns the API calls since it was last asked.
func (c *cloud) calls() []call {
	if c.backend == nil {
		return nil
	}
	var all []call
	for _, made := range c.backend.Calls() {
		all = append(all, call{made.Method, made.Status})
	}
	c.backend.ResetCalls()
	return all
}
