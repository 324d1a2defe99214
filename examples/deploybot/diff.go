package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A difference is one value of a workload's JSON that changed.
type difference struct {
	// Path is where it is, such as "template.template.containers[0].image".
	Path string `json:"path"`
	// By is who changed it: "attach", which changes the identity; "server", for
	// what only Cloud Run sets; "other" for everything else.
	By string `json:"by"`
	// Old and New are left out where there was or is no such value, and always
	// if By is "other": environment variables may be secrets.
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
}

// Who changed a value.
const (
	byAttach = "attach"
	byServer = "server"
	byOther  = "other"
)

// diff lists how two JSON objects differ, by path.
func diff(before, after []byte) ([]difference, error) {
	var trees [2]any
	for i, raw := range [][]byte{before, after} {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // 1.0 is not 1 here
		if err := dec.Decode(&trees[i]); err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
	}
	return compare([]difference{}, "", trees[0], trees[1]), nil
}

// compare appends how two values at a path differ.
func compare(diffs []difference, path string, before, after any) []difference {
	switch before := before.(type) {
	case map[string]any:
		if after, ok := after.(map[string]any); ok {
			names := maps.Clone(before)
			maps.Copy(names, after)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				diffs = compare(diffs, join(path, name), before[name], after[name])
			}
			return diffs
		}
	case []any:
		if after, ok := after.([]any); ok && len(after) == len(before) {
			for i := range before {
				diffs = compare(diffs, fmt.Sprintf("%s[%d]", path, i), before[i], after[i])
			}
			return diffs
		}
	}
	if reflect.DeepEqual(before, after) {
		return diffs
	}
	d := difference{Path: path, By: changedBy(path), Old: before, New: after}
	if d.By == byOther {
		d.Old, d.New = nil, nil
	}
	return append(diffs, d)
}

// join adds a field's name to a path, in brackets if it is no plain name.
func join(path, name string) string {
	switch {
	case strings.ContainsAny(name, `.[]"`):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

// changedBy tells who changes the value at a path.
func changedBy(path string) string {
	switch path {
	case "template.template.serviceAccount", // of a job
		"template.serviceAccount", "template.revision": // of a service or worker pool
		return byAttach
	}
	switch field(path) {
	case "conditions", "createTime", "creator", "deleteTime", "etag", "executionCount", "expireTime",
		"generation", "instanceSplitStatuses", "lastModifier", "latestCreatedExecution",
		"latestCreatedRevision", "latestReadyRevision", "observedGeneration", "reconciling", "satisfiesPzs",
		"terminalCondition", "threatDetectionEnabled", "trafficStatuses", "uid", "updateTime", "uri", "urls":
		return byServer
	}
	return byOther
}

// field returns the first name in a path.
func field(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}
