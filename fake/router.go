package fake

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// A handler carries one method out and returns the JSON of its answer. Its
// error is a *wire.Error, or one that ends the exchange without an answer.
type handler struct {
	handle func(*call, *state) ([]byte, error)
	writes bool // else the state is only read, together with other calls
}

func reads(handle func(*call, *state) ([]byte, error)) handler { return handler{handle, false} }

func writes(handle func(*call, *state) ([]byte, error)) handler { return handler{handle, true} }

// A route is a method of an API with the handler that carries it out.
type route struct {
	api     *discovery.API
	method  *discovery.Method
	dialect dialect // of Cloud Run
	handler
}

// inVersion returns the key of a handler for one version of an API, for methods
// whose ID versions share. It wins over a handler for the ID alone.
func inVersion(api, method string) string { return api + " " + method }

// routes are all methods of all APIs that the fake knows.
type routes struct {
	byID  map[string]*route
	hosts map[string]*pathNode // by host, without location
}

// pathNode is a place in a host's paths. Below it are its children by the next
// segment; at it are routes by HTTP method and custom verb ("GET", "POST
// wait").
type pathNode struct {
	literal map[string]*pathNode
	param   *pathNode
	at      map[string]*route
}

// allRoutes joins what the discovery documents list with what the fake's
// services carry out.
var allRoutes = sync.OnceValue(func() *routes {
	handlers := make(map[string]handler)
	maps.Copy(handlers, runHandlers())
	maps.Copy(handlers, iamHandlers())
	maps.Copy(handlers, roleHandlers())
	maps.Copy(handlers, denyHandlers())
	maps.Copy(handlers, resourceManagerHandlers())
	maps.Copy(handlers, orgPolicyHandlers())
	maps.Copy(handlers, orgPolicyV1Handlers())
	maps.Copy(handlers, serviceUsageHandlers())
	maps.Copy(handlers, troubleshooterHandlers())
	maps.Copy(handlers, recommenderHandlers())
	all := &routes{byID: make(map[string]*route), hosts: make(map[string]*pathNode)}
	used := make(map[string]bool)
	for _, api := range discovery.All() {
		root := all.hosts[api.Host]
		if root == nil {
			root = &pathNode{}
			all.hosts[api.Host] = root
		}
		for i := range api.Methods {
			m := &api.Methods[i]
			r := &route{api, m, dialectOf(api.ID), reads((*call).unimplemented)}
			for _, name := range []string{m.ID, inVersion(api.ID, m.ID)} {
				if h, ok := handlers[name]; ok {
					r.handler = h
					used[name] = true
				}
			}
			all.byID[m.ID] = r
			root.add(m, r)
		}
	}
	for name := range handlers {
		if !used[name] {
			panic("fake: a handler is registered for " + name + ", which no discovery document lists")
		}
	}
	return all
})

// unimplemented handles methods that have no handler.
func (c *call) unimplemented(*state) ([]byte, error) { return nil, c.notImplemented("") }

// notImplemented refuses a method, or a part of it, that the fake does not have.
func (c *call) notImplemented(part string) *wire.Error {
	text := "The fake does not implement " + c.method.ID
	if part != "" {
		text += " " + part
	}
	err := wire.NewError(http.StatusNotImplemented, "UNIMPLEMENTED", "%s.", text)
	c.report("%s", err.Message)
	return err
}

func (n *pathNode) add(m *discovery.Method, r *route) {
	path, verb := m.Path, ""
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path, verb = path[:i], path[i+1:]
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, "{") {
			if n.param == nil {
				n.param = &pathNode{}
			}
			n = n.param
			continue
		}
		child := n.literal[segment]
		if child == nil {
			if n.literal == nil {
				n.literal = make(map[string]*pathNode)
			}
			child = &pathNode{}
			n.literal[segment] = child
		}
		n = child
	}
	if n.at == nil {
		n.at = make(map[string]*route)
	}
	n.at[routeKey(m.Verb, verb)] = r
}

func routeKey(method, verb string) string {
	if verb == "" {
		return method
	}
	return method + " " + verb
}

// find returns the route of an escaped path and the values of its
// parameters, or nil. Literal segments win over parameters.
func (n *pathNode) find(method, path string) (*route, []string) {
	return n.descend(method, strings.TrimPrefix(path, "/"), make([]string, 0, 4))
}

func (n *pathNode) descend(method, path string, params []string) (*route, []string) {
	segment, rest, more := strings.Cut(path, "/")
	if more {
		if child := n.literal[segment]; child != nil {
			if r, p := child.descend(method, rest, params); r != nil {
				return r, p
			}
		}
		if n.param == nil || segment == "" {
			return nil, nil
		}
		value, err := url.PathUnescape(segment)
		if err != nil {
			return nil, nil
		}
		return n.param.descend(method, rest, append(params, value))
	}
	// The last segment may end in a custom verb; an id may hold a colon too,
	// as in a domain-scoped project.
	if i := strings.LastIndexByte(segment, ':'); i >= 0 {
		if r, p := n.end(method+" "+segment[i+1:], segment[:i], params); r != nil {
			return r, p
		}
	}
	return n.end(method, segment, params)
}

func (n *pathNode) end(key, segment string, params []string) (*route, []string) {
	if child := n.literal[segment]; child != nil {
		if r := child.at[key]; r != nil {
			return r, params
		}
	}
	if n.param == nil || segment == "" {
		return nil, nil
	}
	value, err := url.PathUnescape(segment)
	if err != nil {
		return nil, nil
	}
	if r := n.param.at[key]; r != nil {
		return r, append(params, value)
	}
	return nil, nil
}

// hasVersion reports whether any path of the host begins as this one does.
func (n *pathNode) hasVersion(path string) bool {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return n.literal[segment] != nil
}

// host returns the paths of a host. One with a location in its name,
// us-central1-run.googleapis.com or run.us-central1.rep.googleapis.com, has
// those of run.googleapis.com.
func (a *routes) host(host string) *pathNode {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if root := a.hosts[host]; root != nil {
		return root
	}
	if name, ok := strings.CutSuffix(host, ".rep.googleapis.com"); ok {
		service, _, _ := strings.Cut(name, ".")
		return a.hosts[service+".googleapis.com"]
	}
	return a.hosts[host[strings.LastIndexByte(host, '-')+1:]]
}

// hostLocation returns the region in a host's name, or "".
func hostLocation(host string) string {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if name, ok := strings.CutSuffix(host, ".rep.googleapis.com"); ok {
		_, location, _ := strings.Cut(name, ".")
		return location
	}
	if i := strings.LastIndexByte(host, '-'); i > 0 {
		return host[:i]
	}
	return ""
}
