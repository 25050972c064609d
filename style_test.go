package jmdirectoryserver_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportedNamesHaveComments guards that whoever reads an exported name of this module finds what it means.
func TestExportedNamesHaveComments(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "build" || name == "testdata" || len(name) > 1 && name[0] == '.' {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, n := range uncommented(f) {
			t.Errorf("%s: %s has no comment", set.Position(n.Pos()), n.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
}

// uncommented returns the exported names of a file without a comment of their own or of their group.
func uncommented(f *ast.File) (names []*ast.Ident) {
	add := func(commented bool, ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() && !commented {
				names = append(names, id)
			}
		}
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			add(d.Doc != nil, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					add(d.Doc != nil || s.Doc != nil || s.Comment != nil, s.Names...)
				case *ast.TypeSpec:
					add(d.Doc != nil || s.Doc != nil, s.Name)
					if st, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
						before := false // fields right behind a commented one may share its comment
						for _, field := range st.Fields.List {
							has := field.Doc != nil || field.Comment != nil
							add(has || before, field.Names...)
							before = has
						}
					}
				}
			}
		}
	}
	return names
}
