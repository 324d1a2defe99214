package fake_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

// A thousand callers at once, each with a job of its own and all with one
// account's policy: no data race, nothing lost, and no goroutine left.
func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	b := newBackend()
	const callers = 1000
	runs, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	accounts, err := iam.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	errs := make(chan error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			errs <- oneCaller(runs, accounts, i)
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	assert.Len(t, b.Calls(), callers*5)
	list, err := runs.Projects.Locations.Jobs.List(location).PageSize(1000).Do()
	require.NoError(t, err)
	assert.Len(t, list.Jobs, callers)
	b.Close()
}

func oneCaller(runs *run.Service, accounts *iam.Service, i int) error {
	id := fmt.Sprintf("job-%d", i)
	jobs := runs.Projects.Locations.Jobs
	if _, err := jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId(id).Do(); err != nil {
		return err
	}
	template := jobTemplate("i")
	template.Template.ServiceAccount = "x@web-prod.iam.gserviceaccount.com"
	if _, err := jobs.Patch(location+"/jobs/"+id, &run.GoogleCloudRunV2Job{Template: template}).Do(); err != nil {
		return err
	}
	job, err := jobs.Get(location + "/jobs/" + id).Do()
	if err != nil {
		return err
	}
	if got := job.Template.Template.ServiceAccount; got != template.Template.ServiceAccount {
		return fmt.Errorf("%s runs as %s", id, got)
	}
	name := "projects/web-prod/serviceAccounts/x@web-prod.iam.gserviceaccount.com"
	if _, err := accounts.Projects.ServiceAccounts.Get(name).Do(); err != nil {
		return err
	}
	_, err = accounts.Projects.ServiceAccounts.TestIamPermissions(name, &iam.TestIamPermissionsRequest{
		Permissions: []string{"iam.serviceAccounts.actAs"},
	}).Do()
	return err
}

// The backend has no goroutines of its own.
func TestNoGoroutineIsLeft(t *testing.T) { //nolint:paralleltest // counts goroutines
	before := runtime.NumGoroutine()
	for range 20 {
		b, svc := started(t)
		b.SetOperationTime(time.Hour)
		_, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("new")}).Do()
		require.NoError(t, err)
		b.Inject(getJob, fake.Fault{Hang: true})
		go func() { _, _ = svc.Projects.Locations.Jobs.Get(jobName).Do() }()
		time.Sleep(time.Millisecond)
		b.Close()
	}
	for range 100 { // the callers are on their way out
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}
