package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

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
	// Applied is what became of it with -apply. NotReady says why what was written,
	// or may have been, isn't known to be ready; NotApplied, why nothing was.
	Applied    *manifest.Applied `json:"applied,omitempty"`
	NotReady   string            `json:"notReady,omitempty"`
	NotApplied string            `json:"notApplied,omitempty"`

	target preflight.Target
	index  int // of the document in its file
}

// manifests checks what the manifests in a file or folder say, with the identity
// that was asked for or else the one that they have, and writes it into them and
// applies them if that is asked for.
func manifests(ctx context.Context, c *cloud, o options, stdout io.Writer) error {
	files, all := readManifests(o)
	for _, d := range all {
		if d.Error != "" {
			continue
		}
		report, err := c.checker.Check(ctx, d.target, nil)
		if err != nil {
			return err
		}
		d.Preflight = &report
	}
	err := carryOut(ctx, c, o, files, all)
	return errors.Join(printDeclared(stdout, all, o.json), err)
}

// carryOut writes and applies, unless a check has failed.
func carryOut(ctx context.Context, c *cloud, o options, files map[string]*manifest.File, all []*declared) error {
	bad, failed := 0, 0
	for _, d := range all {
		switch {
		case d.Error != "":
			bad++
		case d.Preflight.Verdict() == preflight.Fail, o.strict && d.Preflight.Verdict() == preflight.Unknown:
			failed++
		}
	}
	switch {
	case bad+failed > 0:
		return fmt.Errorf("%d of %d workloads in manifests fail their checks, %d can't be read or told; nothing is written", failed, len(all), bad)
	case len(all) == 0:
		return fmt.Errorf("%s has no manifest of a Cloud Run workload", o.manifest)
	}
	if o.identityGiven {
		if err := editManifests(files, o.identity); err != nil {
			return err
		}
	}
	if o.write {
		if err := writeManifests(files); err != nil {
			return err
		}
	}
	if o.apply {
		return applyManifests(ctx, c, files, all)
	}
	return nil
}

// applyManifests creates or replaces the workloads one after the other, until one
// fails.
func applyManifests(ctx context.Context, c *cloud, files map[string]*manifest.File, all []*declared) error {
	for i, d := range all {
		patient, cancel := context.WithTimeout(ctx, patience)
		applied, err := c.manifests.Apply(patient, files[d.File], d.index, nil)
		cancel()
		_, open := errors.AsType[*identity.UnfinishedError](err)
		switch {
		case err == nil:
			d.Applied = &applied
			continue
		case applied.Generation > 0:
			d.Applied, d.NotReady = &applied, err.Error()
			return fmt.Errorf("%d of %d workloads were applied, of which the last isn't known to be ready: %w", i+1, len(all), err)
		case open:
			d.NotReady = err.Error()
			return fmt.Errorf("%d of %d workloads were applied, and perhaps one more: %w", i, len(all), err)
		}
		d.NotApplied = err.Error()
		return fmt.Errorf("%d of %d workloads were applied: %w", i, len(all), err)
	}
	return nil
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
		for i, d := range f.Documents {
			if d.Kind == identity.KindUnknown {
				continue
			}
			found := &declared{File: path, Line: d.Line, index: i}
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
		switch {
		case d.NotApplied != "":
			fmt.Fprintf(w, "  not applied: %s\n", d.NotApplied)
		case d.NotReady != "" && d.Applied == nil:
			fmt.Fprintf(w, "  perhaps applied: %s\n", d.NotReady)
		case d.NotReady != "" && d.Applied.Created:
			fmt.Fprintf(w, "  created as %v, not known to be ready: %s\n", d.Applied.New, d.NotReady)
		case d.NotReady != "":
			fmt.Fprintf(w, "  replaced in generation %d, not known to be ready: %v -> %v: %s\n", d.Applied.Generation, d.Applied.Old, d.Applied.New, d.NotReady)
		case d.Applied != nil && d.Applied.Created:
			fmt.Fprintf(w, "  created as %v, ready\n", d.Applied.New)
		case d.Applied != nil:
			fmt.Fprintf(w, "  replaced, ready in generation %d: %v -> %v\n", d.Applied.Generation, d.Applied.Old, d.Applied.New)
		}
	}
	return nil
}

// editManifests puts the identity into the files, not yet on disk.
func editManifests(files map[string]*manifest.File, sa identity.ServiceAccount) error {
	edited := make(map[string]*manifest.File)
	for path, f := range files {
		e, err := f.Set(sa)
		switch {
		case errors.Is(err, manifest.ErrNothingToEdit):
		case err != nil:
			return err
		default:
			edited[path] = e
		}
	}
	maps.Copy(files, edited)
	return nil
}

// writeManifests writes the files that differ from those on disk, each at once or
// not at all.
func writeManifests(files map[string]*manifest.File) error {
	for path, f := range files {
		old, err := os.ReadFile(path) //nolint:gosec // a file that the user named
		if err != nil {
			return err
		}
		if bytes.Equal(old, f.Bytes()) {
			continue
		}
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
