package outage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/outage"
)

// withIdentity runs something with a client of package identity.
func withIdentity(do func(context.Context, *identity.Client) outcome) action {
	return func(ctx context.Context, b *world) outcome {
		client, err := identity.NewClient(ctx, b.ClientOptions(fake.Admin)...)
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		return do(ctx, client)
	}
}

// foreignWorkloads are answers about a workload that wasn't asked for and has the
// identity that is wanted.
func foreignWorkloads(sa identity.ServiceAccount) []outage.Fault {
	const name = `"projects/other-proj/locations/europe-west1/jobs/other"`
	resource := `{"name": ` + name + `, "uid": "c0ffee00-0000-4000-8000-000000000000", "generation": "7", "observedGeneration": "7", "etag": "\"x/y\"",
		"template": {"serviceAccount": "` + sa.Email() + `", "template": {"serviceAccount": "` + sa.Email() + `", "containers": [{"image": "theirs"}]}},
		"terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}}`
	const op = "projects/other-proj/locations/europe-west1/operations/c0ffee00-0000-4000-8000-000000000001"
	return []outage.Fault{
		outage.Answer("another's workload", http.StatusOK, resource),
		outage.AnswerAfter("another's workload, after", http.StatusOK, resource),
		outage.Answer("another's operation", http.StatusOK, `{"name": "`+op+`", "done": true, "metadata": `+resource+`, "response": `+resource+`}`),
		outage.AnswerAfter("another's operation, after", http.StatusOK, `{"name": "`+op+`", "done": true, "metadata": `+resource+`, "response": `+resource+`}`),
	}
}

// ofChange is what a change says.
func ofChange(change identity.Change, err error) outcome {
	o := outcome{claim: claimOf(err), err: err}
	switch {
	case err == nil:
		o.value = fmt.Sprintf("%s -> %s, done %t, generation %d", change.Old, change.New, change.Done, change.NewGeneration)
	case change.Written:
		o.claim = done
	}
	return o
}

func attach(w identity.Workload, sa identity.ServiceAccount, opts *identity.AttachOptions) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		return ofChange(c.Attach(ctx, w, sa, opts))
	})
}

func detach(w identity.Workload, opts *identity.DetachOptions) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		return ofChange(c.Detach(ctx, w, opts))
	})
}

func get(w identity.Workload, opts *identity.GetOptions) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		a, err := c.Get(ctx, w, opts)
		return outcome{claim: claimOf(err), value: fmt.Sprintf("%s, default %s, other %s", a.ServiceAccount, a.Default, a.ServingOther), err: err}
	})
}

func createJob(opts *identity.CreateOptions) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		return ofChange(c.CreateJob(ctx, identity.MustParseWorkload(newJob), runner, &run.GoogleCloudRunV2Job{
			Labels: map[string]string{"team": "web"},
			Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
				Containers: []*run.GoogleCloudRunV2Container{{Image: "image", Command: []string{"sh"}}},
			}},
		}, opts))
	})
}

func createService() action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		return ofChange(c.CreateService(ctx, identity.Service("web-prod", "europe-west1", "front"), runner, &run.GoogleCloudRunV2Service{
			Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "image"}}},
		}, nil))
	})
}

func createPool() action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		return ofChange(c.CreateWorkerPool(ctx, identity.WorkerPool("web-prod", "europe-west1", "back"), runner, &run.GoogleCloudRunV2WorkerPool{
			Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "image"}}},
		}, nil))
	})
}

// again creates what may be there already.
func again(create action) action {
	return func(ctx context.Context, b *world) outcome {
		o := create(ctx, b)
		if errors.Is(o.err, identity.ErrAlreadyExists) {
			o.err = nil
		}
		return o
	}
}

func execute(opts *identity.ExecuteOptions) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		e, err := c.Execute(ctx, identity.MustParseWorkload(jobName), opts)
		o := outcome{claim: claimOf(err), err: err}
		if err == nil {
			o.value = fmt.Sprintf("%s, %d of %d", e.ServiceAccount, e.Succeeded, e.Tasks)
		} else if e.Name != "" {
			o.claim = done
		}
		return o
	})
}

// always is for what is not to be done again.
func always(error) bool { return true }

func ensure(sa identity.ServiceAccount) action {
	return withIdentity(func(ctx context.Context, c *identity.Client) outcome {
		a, err := c.EnsureServiceAccount(ctx, sa, &identity.EnsureServiceAccountOptions{DisplayName: "Runner"})
		o := outcome{claim: claimOf(err), err: err}
		if err == nil {
			o.value = fmt.Sprintf("%s in %s, another's %t", a.ServiceAccount, a.Project, a.UniqueID == foreignAccount)
		} else if a.Created {
			o.claim = done
		}
		return o
	})
}

func identityOperations() []*operation {
	job, shop, pool := identity.MustParseWorkload(jobName), identity.MustParseWorkload(shopName), identity.MustParseWorkload(poolName)
	compute := identity.DefaultServiceAccount(number)
	return []*operation{
		{name: "get job", seed: withJob(before), run: get(job, nil), foreign: foreignWorkloads(runner)},
		{name: "get default", seed: withJob(compute), run: get(job, &identity.GetOptions{ProjectNumber: number}), foreign: foreignWorkloads(runner)},
		{name: "get revisions", seed: withService(before), run: get(shop, &identity.GetOptions{ReadRevisions: true}), foreign: foreignWorkloads(runner)},
		{name: "attach job", seed: withJob(before), run: attach(job, runner, nil), foreign: foreignWorkloads(runner)},
		{name: "attach job, no wait", seed: withJob(before), run: attach(job, runner, &identity.AttachOptions{NoWait: true}), foreign: foreignWorkloads(runner)},
		{name: "attach job, validate", seed: withJob(before), run: attach(job, runner, &identity.AttachOptions{ValidateOnly: true}), foreign: foreignWorkloads(runner)},
		{name: "attach job, in place", seed: withJob(runner), run: attach(job, runner, nil), foreign: foreignWorkloads(runner)},
		{name: "attach service", seed: withService(before), run: attach(shop, runner, nil), foreign: foreignWorkloads(runner)},
		{name: "attach pool", seed: withPool(before), run: attach(pool, runner, nil), foreign: foreignWorkloads(runner)},
		{name: "detach job", seed: withJob(before), run: detach(job, &identity.DetachOptions{ProjectNumber: number}), foreign: foreignWorkloads(compute)},
		{name: "detach service", seed: withService(before), run: detach(shop, &identity.DetachOptions{ProjectNumber: number}), foreign: foreignWorkloads(compute)},
		{name: "create job", seed: withJob(before), run: createJob(nil), again: again(createJob(nil)), foreign: foreignWorkloads(runner)},
		{name: "create job, no wait", seed: withJob(before), run: createJob(&identity.CreateOptions{NoWait: true}), again: again(createJob(nil)), foreign: foreignWorkloads(runner)},
		{name: "create service", seed: withService(before), run: createService(), again: again(createService()), foreign: foreignWorkloads(runner)},
		{name: "create pool", seed: withPool(before), run: createPool(), again: again(createPool()), foreign: foreignWorkloads(runner)},
		{name: "execute", seed: withJob(before), run: execute(nil), ended: always, foreign: foreignWorkloads(runner)},
		{name: "execute, wait", seed: withJob(before), run: execute(&identity.ExecuteOptions{WaitForCompletion: true}), ended: always, foreign: foreignWorkloads(runner)},
		{name: "ensure account", seed: withJob(before), run: ensure(added), foreign: foreignIAM()},
		{name: "ensure account, there", seed: withJob(before), run: ensure(runner), foreign: foreignIAM()},
	}
}
