package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
	"github.com/runidentity/runidentity/preflight"
)

// A declared workload is one that a manifest is about, with what was checked.
type declared struct {
	File string `json:"file"`
	Line int    `json:"line"` // of the identity, or of the document if it has none
	// Preflight is what was checked; nil if Error says why not.
	Preflight *preflight.Report `json:"preflight,omitempty"`
	Error     string            `json:"error,omitempty"`

	target preflight.Target
}

// manifests checks what the manifests in a file or folder say, with the identity
// that was asked for or else the one that they have, and writes it into them if
// that is asked for.
func manifests(ctx context.Context, c *cloud, o options, stdout io.Writer) error {
	files, all := readManifests(o)
	for _, d := range all {
		if d.Error != "" {
			continue
		}
		report, err := c.checker.Check(ctx, d.target)
		if err != nil {
			return err
		}
		d.Preflight = &report
	}
	if err := printDeclared(stdout, all, o.json); err != nil {
		return err
	}
	bad, failed := 0, 0
	for _, d := range all {
		switch {
		case d.Error != "":
			bad++
		case d.Preflight.Verdict() == preflight.Fail:
			failed++
		}
	}
	switch {
	case bad+failed > 0:
		return fmt.Errorf("%d of %d workloads in manifests fail their checks, %d can't be read or told; nothing is written", failed, len(all), bad)
	case len(all) == 0:
		return fmt.Errorf("%s has no manifest of a Cloud Run workload", o.manifest)
	case !o.write:
		return nil
	}
	return writeManifests(files, o.identity)
}

// readManifests reads a file or a folder. Files are by their paths.
func readManifests(o options) (files map[string]*manifest.File, all []*declared) {
	files = make(map[string]*manifest.File)
	folder, name := o.manifest, "."
	if info, err := os.Stat(o.manifest); err == nil && !info.IsDir() {
		folder, name = filepath.Split(o.manifest)
		if folder == "" {
			folder = "."
		}
	}
	for f, err := range manifest.Walk(os.DirFS(folder), name) {
		if err != nil {
			found := &declared{File: o.manifest, Error: err.Error()}
			if e, ok := errors.AsType[*manifest.Error](err); ok {
				found.File, found.Line, found.Error = filepath.Join(folder, e.File), e.Line, e.Err.Error()
			}
			all = append(all, found)
			continue
		}
		path := filepath.Join(folder, f.Name)
		files[path] = f
		for _, d := range f.Documents {
			if d.Kind == identity.KindUnknown {
				continue
			}
			found := &declared{File: path, Line: d.Line}
			if d.IdentityLine > 0 {
				found.Line = d.IdentityLine
			}
			w, err := d.Workload("", "")
			if err != nil {
				found.Error = err.Error()
			}
			found.target = preflight.Target{Workload: w, Identity: d.Identity}
			if o.identityGiven {
				found.target.Identity = o.identity
			}
			all = append(all, found)
		}
	}
	return files, all
}

// printDeclared writes the findings by file and line.
func printDeclared(w io.Writer, all []*declared, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"manifests": all})
	}
	for _, d := range all {
		if d.Error != "" {
			fmt.Fprintf(w, "%s:%d: %s\n", d.File, d.Line, d.Error)
			continue
		}
		fmt.Fprintf(w, "%s:%d: %s as %s: %v\n", d.File, d.Line, d.target.Workload, d.Preflight.Identity, d.Preflight.Verdict())
		for _, f := range d.Preflight.Findings {
			if f.Verdict == preflight.Pass {
				continue
			}
			fmt.Fprintf(w, "  %v: %s: %s\n", f.Verdict, f.Code, f.Message)
			if f.Fix != nil {
				fmt.Fprintf(w, "    fix: %s\n", f.Fix)
			}
		}
	}
	return nil
}

// writeManifests writes the identity into the files, each at once or not at all.
func writeManifests(files map[string]*manifest.File, sa identity.ServiceAccount) error {
	edited := make(map[string]*manifest.File)
	for path, f := range files { // all are edited before one is written
		e, err := f.Set(sa)
		switch {
		case errors.Is(err, manifest.ErrNothingToEdit):
		case err != nil:
			return err
		case !slices.Equal(e.Bytes(), f.Bytes()):
			edited[path] = e
		}
	}
	for path, f := range edited {
		if err := replaceFile(path, f.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts a file in the place of another, which keeps its mode.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, writeErr := next.Write(data)
	err = errors.Join(writeErr, next.Chmod(info.Mode()&fs.ModePerm), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}
