package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// maxState is the largest document that Load reads.
const maxState = 256 << 20

// A StateError says what is wrong with a document that [Backend.Load] was given,
// and where.
type StateError struct {
	Line  int    // from 1
	Field string // such as "projects[1].number", "" of the document as a whole
	Err   error  // what is wrong
}

// Error returns the line, the field and what is wrong.
func (e *StateError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d: %s: %v", e.Line, e.Field, e.Err)
}

// Unwrap returns Err.
func (e *StateError) Unwrap() error { return e.Err }

// Load fills an empty backend with what [Backend.Dump] wrote, or with a document
// of that form written by hand, in which most fields may be left out: what the
// server would fill in is filled in. Load loads all of the document or nothing.
// It returns a [*StateError] if something is wrong with the document. It also
// returns an error if the backend holds something already, or if the document is
// of another version.
func (b *Backend) Load(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxState+1))
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	if len(data) > maxState {
		return fmt.Errorf("the state is larger than %d bytes", maxState)
	}
	loaded := NewBackend()
	defer loaded.Close()
	if err := loaded.load(data); err != nil {
		return err
	}
	b.write(time.Now(), func(st *state) {
		if st.holdsAnything() {
			err = errors.New("load the state: the backend holds something already; load into a new one")
			return
		}
		loaded.read(time.Now(), func(from *state) { st.take(from) })
	})
	return err
}

func (st *state) holdsAnything() bool {
	return len(st.containers)+len(st.projects)+len(st.groups)+len(st.federated)+len(st.roles) > 0
}

// take moves what another state holds into one that holds nothing.
func (st *state) take(from *state) {
	st.containers, st.projects, st.accounts = from.containers, from.projects, from.accounts
	st.groups, st.federated, st.roles = from.groups, from.federated, from.roles
	st.orgPolicies, st.recommender, st.run, st.serviceUsage = from.orgPolicies, from.recommender, from.run, from.serviceUsage
	st.serial, st.lastWrite, st.compiler = max(st.serial, from.serial), from.lastWrite, from.compiler
	st.directoryChanged()
}

// load seeds an empty backend.
func (b *Backend) load(data []byte) error {
	d := &stateReader{data: data}
	sections, err := d.sections()
	if err != nil {
		return err
	}
	for _, next := range []struct {
		name string
		load func(json.RawMessage) error
	}{
		{"organizations", loads(func(o *cloudresourcemanager.Organization) error { b.AddOrganization(o); return nil })},
		{"folders", loads(func(f *cloudresourcemanager.Folder) error { b.AddFolder(f); return nil })},
		{"projects", loads(seeds(b, (*state).loadProject))},
		{"services", loads(seeds(b, (*state).loadService))},
		{"serviceAccounts", loads(seeds(b, (*state).loadAccount))},
		{"federatedIdentities", loads(func(f *stateFederated) error {
			b.AddFederatedIdentity(f.Principal, f.Attributes, f.Groups...)
			return nil
		})},
		{"groups", loads(func(g *stateGroup) error { b.AddGroup(g.Email, g.Members...); return nil })},
		{"roles", loads(func(r *iam.Role) error { b.AddRole(r); return nil })},
		{"customConstraints", loads(seeds(b, (*state).loadConstraint))},
		{"orgPolicies", loads(func(p *orgpolicy.GoogleCloudOrgpolicyV2Policy) error { b.SetOrgPolicy(p); return nil })},
		{"run", loads(seeds(b, (*state).loadRun))},
		{"policies", loads(func(p *statePolicy) error {
			b.SetPolicy(p.Resource, &iam.Policy{Bindings: p.Bindings, AuditConfigs: p.AuditConfigs})
			return nil
		})},
		{"denyPolicies", loads(b.loadDenyPolicy)},
		{"recommender", b.loadRecommender},
	} {
		for i, e := range sections[next.name] {
			if err := seeded(func() error { return next.load(e.raw) }); err != nil {
				return d.within(e, fmt.Sprintf("%s[%d]", next.name, i), err)
			}
		}
	}
	return nil
}

// loads decodes an element for its loader. Unknown fields are refused, so that
// a typing error is none that goes unnoticed.
func loads[T any](load func(*T) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		v := new(T)
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(v); err != nil {
			return err
		}
		return load(v)
	}
}

// seeds returns a loader that is called with the state.
func seeds[T any](b *Backend, load func(*state, *T) error) func(*T) error {
	return func(v *T) (err error) {
		b.write(time.Now(), func(st *state) { err = load(st, v) })
		return err
	}
}

// seeded turns the panics of the seeding methods into errors: what is a
// mistake in a test's source is one of the document here.
func seeded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			text, ok := v.(string)
			if !ok || !strings.HasPrefix(text, "fake: ") {
				panic(v)
			}
			err = errors.New(strings.TrimPrefix(text, "fake: "))
		}
	}()
	return do()
}

func (st *state) loadProject(p *stateProject) error {
	st.addProject(&cloudresourcemanager.Project{
		Name: p.Name, ProjectId: p.ProjectID, DisplayName: p.DisplayName, Parent: p.Parent, Labels: p.Labels,
	})
	added := st.projects[p.ProjectID]
	if p.Services != nil {
		clear(added.services)
		for _, service := range p.Services {
			added.services[service] = true
		}
	}
	agent := added.services[runService]
	if p.Agent != nil {
		agent = *p.Agent
	}
	if !agent {
		st.removeAgent(added, st.tick(time.Now()))
	}
	return nil
}

func (st *state) loadService(s *stateService) error {
	if s.Name == "" || s.Title == "" {
		return errors.New("a service needs a name and a title")
	}
	if st.serviceUsage.titles == nil {
		st.serviceUsage.titles = make(map[string]string)
	}
	st.serviceUsage.titles[s.Name] = s.Title
	return nil
}

func (st *state) loadAccount(in *stateAccount) error {
	// The default account of a project is there since the project is.
	if a := st.accounts[in.Email]; a != nil && a.email == a.project.computeDefault() {
		delete(st.accounts, a.email)
		delete(st.accounts, a.uniqueID)
		if in.ProjectID == "" {
			in.ProjectID = a.project.id
		}
	}
	st.addServiceAccount(&iam.ServiceAccount{
		Email: in.Email, ProjectId: in.ProjectID, UniqueId: in.UniqueID, DisplayName: in.DisplayName, Description: in.Description,
		Disabled: in.Disabled,
	})
	st.accounts[in.Email].deleted = in.Deleted
	st.directoryChanged()
	return nil
}

func (st *state) loadConstraint(in *stateConstraint) error {
	o, err := wire.Decode(in.Constraint)
	if err != nil {
		return err
	}
	_, id, ok := strings.Cut(wire.Text(o, "name"), "/customConstraints/")
	if !ok || !validCustomConstraintID(id) {
		return fmt.Errorf("the constraint's name %q is not of the form %q", wire.Text(o, "name"), in.Organization+"/customConstraints/custom.id")
	}
	if err := checkCustomConstraint(o); err != nil {
		return err
	}
	if st.parentNode(in.Organization) == nil {
		return fmt.Errorf("there is no %q; an organization is named as in \"organizations/1\"", in.Organization)
	}
	if st.orgPolicies.custom == nil {
		st.orgPolicies.custom = make(map[string]map[string]wire.Object)
	}
	if st.orgPolicies.custom[in.Organization] == nil {
		st.orgPolicies.custom[in.Organization] = make(map[string]wire.Object)
	}
	st.orgPolicies.custom[in.Organization][id] = o
	return nil
}

func (st *state) loadRun(in *stateRun) error {
	var extras knative.Extras
	if in.Knative != nil {
		dec := json.NewDecoder(bytes.NewReader(in.Knative))
		dec.UseNumber()
		dec.DisallowUnknownFields()
		if err := dec.Decode(&extras); err != nil {
			return fmt.Errorf("knative: %w", err)
		}
		for pointer := range extras {
			if !strings.HasPrefix(pointer, "/") {
				return fmt.Errorf("knative: %q is no JSON pointer; an example is \"/spec/template/spec/runtimeClassName\"", pointer)
			}
		}
	}
	_, key, id, err := st.parseRunName(in.Name)
	if err == nil && key.parent != "" {
		// A workload that was loaded has made a revision already.
		if col := st.run.collections[key]; col != nil {
			delete(col.byID, id)
			col.sorted = nil
		}
	}
	if err != nil {
		return err
	}
	if err := st.addJSON(in.Name, in.Resource); err != nil {
		return err
	}
	st.run.find(key, id).knative = extras
	return nil
}

func (b *Backend) loadDenyPolicy(in *stateDenyPolicy) error {
	if in.Policy == nil {
		return errors.New("policy: missing")
	}
	b.AddDenyPolicy(in.AttachedTo, in.Policy)
	return nil
}

func (b *Backend) loadRecommender(raw json.RawMessage) error {
	o, err := wire.Decode(raw)
	if err != nil {
		return err
	}
	b.AddRecommenderJSON(wire.Text(o, "name"), raw)
	return nil
}
