package manifest

import (
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// Walk reads the manifests in a folder and below it: the files whose names end in
// .yaml, .yml or .json, in lexical order. It skips folders whose names begin with
// a dot. It also yields files without a workload. For a file that can't be read,
// or that [Parse] refuses, it yields nil and an [*Error], and goes on. It holds
// one file at a time.
func Walk(fsys fs.FS, root string) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				if !yield(nil, &Error{File: name, Err: err}) {
					return fs.SkipAll
				}
				return nil
			case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)):
				return nil
			}
			if !yield(readFile(fsys, name)) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(nil, &Error{File: root, Err: err})
		}
	}
}

// readFile reads a file, and no more of it than one may have.
func readFile(fsys fs.FS, name string) (*File, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, &Error{File: name, Err: err}
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, &Error{File: name, Err: err}
	}
	return Parse(name, data)
}
