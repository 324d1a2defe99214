// Package compact shortens Google's discovery documents to what the fake
// needs of them. Only the generator and the test that holds its output
// import it.
package compact

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/internal/discovery"
)

// documents are the discovery documents to read, relative to the root of the
// google.golang.org/api module.
func documents() []string {
	return []string{
		"run/v2/run-api.json",
		"run/v1/run-api.json",
		"iam/v1/iam-api.json",
		"iam/v2/iam-api.json",
		"cloudresourcemanager/v1/cloudresourcemanager-api.json",
		"cloudresourcemanager/v3/cloudresourcemanager-api.json",
		"orgpolicy/v2/orgpolicy-api.json",
		"serviceusage/v1/serviceusage-api.json",
		"serviceusage/v1beta1/serviceusage-api.json",
		"policytroubleshooter/v3/policytroubleshooter-api.json",
		"recommender/v1/recommender-api.json",
	}
}

// FromModule reads the documents in the module cache and returns apis.json.
func FromModule(ctx context.Context) ([]byte, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		return nil, fmt.Errorf("find the google.golang.org/api module: %w", err)
	}
	var list []*discovery.API
	for _, name := range documents() {
		doc, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		api, err := shorten(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, api)
	}
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, api := range list {
		line, err := json.Marshal(api)
		if err != nil {
			return nil, err
		}
		out.Write(line)
		if i < len(list)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]\n")
	return out.Bytes(), nil
}

type document struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	RootURL   string `json:"rootUrl"`
	Endpoints []struct {
		Location string `json:"location"`
	} `json:"endpoints"`
	Resources map[string]resource `json:"resources"`
	Methods   map[string]method   `json:"methods"`
	Schemas   map[string]schema   `json:"schemas"`
}

type resource struct {
	Methods   map[string]method   `json:"methods"`
	Resources map[string]resource `json:"resources"`
}

type method struct {
	ID         string `json:"id"`
	HTTPMethod string `json:"httpMethod"`
	Path       string `json:"path"`
	FlatPath   string `json:"flatPath"`
	Parameters map[string]struct {
		Location string `json:"location"`
	} `json:"parameters"`
	Request struct {
		Ref string `json:"$ref"`
	} `json:"request"`
	Response struct {
		Ref string `json:"$ref"`
	} `json:"response"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Enum       []string          `json:"enum"`
	ReadOnly   bool              `json:"readOnly"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Additional *schema           `json:"additionalProperties"`
}

func shorten(doc []byte) (*discovery.API, error) {
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, err
	}
	host := strings.TrimSuffix(strings.TrimPrefix(d.RootURL, "https://"), "/")
	api := &discovery.API{ID: d.ID, Title: d.Title, Host: host, Schemas: make(map[string]discovery.Schema)}
	for _, e := range d.Endpoints {
		api.Locations = append(api.Locations, e.Location)
	}
	slices.Sort(api.Locations)
	api.Locations = slices.Compact(api.Locations)
	var walk func(resource)
	walk = func(r resource) {
		for _, m := range r.Methods {
			path := m.FlatPath
			if path == "" {
				path = m.Path
			}
			out := discovery.Method{ID: m.ID, Verb: m.HTTPMethod, Path: path, Request: m.Request.Ref, Response: m.Response.Ref}
			for name, p := range m.Parameters {
				if p.Location == "query" {
					out.Query = append(out.Query, name)
				}
			}
			slices.Sort(out.Query)
			api.Methods = append(api.Methods, out)
		}
		for _, sub := range r.Resources {
			walk(sub)
		}
	}
	walk(resource{Methods: d.Methods, Resources: d.Resources})
	slices.SortFunc(api.Methods, func(a, b discovery.Method) int { return strings.Compare(a.ID, b.ID) })
	for name, s := range d.Schemas {
		fields := make(discovery.Schema, len(s.Properties))
		for field, p := range s.Properties {
			fields[field] = shortenField(p)
		}
		api.Schemas[name] = fields
	}
	return api, nil
}

func shortenField(p schema) discovery.Field {
	f := discovery.Field{Output: p.ReadOnly}
	switch {
	case p.Items != nil:
		f.List = true
		p = *p.Items
	case p.Additional != nil:
		f.Map = true
		p = *p.Additional
	}
	f.Ref, f.Enum = p.Ref, p.Enum
	switch {
	case f.Ref != "":
	case p.Type == "integer", p.Type == "string" && (p.Format == "int64" || p.Format == "uint64"):
		f.Type = p.Format
	default:
		f.Type = p.Type
	}
	return f
}
