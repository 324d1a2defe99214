// Package discovery is what the fake knows of Google's APIs without being
// told by hand: their hosts, methods, paths, query parameters and message
// schemas. It is a compact copy of the discovery documents in the
// google.golang.org/api module, made by `go generate` and held against them
// by a test.
package discovery

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
)

//go:generate go run ./gen

//go:embed apis.json
var apis []byte

// An API is one version of one Google API, such as "run:v2".
type API struct {
	ID        string            `json:"id"`
	Title     string            `json:"title"`
	Host      string            `json:"host"`                // such as "run.googleapis.com"
	Locations []string          `json:"locations,omitempty"` // those that have an endpoint of their own
	Methods   []Method          `json:"methods"`
	Schemas   map[string]Schema `json:"schemas"`
}

// A Method is one call of an API, named by its discovery ID.
type Method struct {
	ID       string   `json:"id"`   // such as "run.projects.locations.jobs.get"
	Verb     string   `json:"verb"` // HTTP method
	Path     string   `json:"path"` // flat path, such as "v2/projects/{projectsId}/locations/{locationsId}/jobs/{jobsId}"
	Query    []string `json:"query,omitempty"`
	Request  string   `json:"request,omitempty"`  // name of the body's schema
	Response string   `json:"response,omitempty"` // name of the answer's schema
}

// A Schema is a message: its fields by their JSON names.
type Schema map[string]Field

// A Field is one field of a message.
type Field struct {
	Type   string   `json:"type,omitempty"` // "string", "boolean", "int32", "int64", "number", "object", "any"; empty with Ref
	Ref    string   `json:"ref,omitempty"`  // name of the message's schema
	Enum   []string `json:"enum,omitempty"` // names by number, where the documents list them in order
	List   bool     `json:"list,omitempty"` // repeated
	Map    bool     `json:"map,omitempty"`  // map from string
	Output bool     `json:"output,omitempty"`
}

// All returns the APIs by ID. The result is shared: it must not be changed.
var All = sync.OnceValue(func() map[string]*API {
	var list []*API
	if err := json.Unmarshal(apis, &list); err != nil {
		panic(fmt.Sprintf("discovery: embedded apis.json: %v", err))
	}
	all := make(map[string]*API, len(list))
	for _, a := range list {
		all[a.ID] = a
	}
	return all
})
