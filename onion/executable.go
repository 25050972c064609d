package onion

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// executable is where a child's program comes from. open may be called again
// for each start; next is another way to get at the same program, or nil.
type executable interface {
	open() (*image, error)
	next() executable
}

// image is a program ready to be executed.
type image struct {
	path    string
	file    *os.File // if it is a memory file
	release func()   // to be called once it runs, or will not
}

// hostFile is an executable of this host.
type hostFile string

func (f hostFile) open() (*image, error) { return &image{path: string(f), release: func() {}}, nil }
func (f hostFile) next() executable      { return nil }

// memfile is a gzip-compressed program that is executed from a sealed memory
// file, so that nothing is written to disk.
type memfile struct {
	gz       []byte
	fallback string // directory for where memory files cannot be executed
}

// mfdExec is MFD_EXEC of Linux 6.3: with vm.memfd_noexec=1 only such files can
// be executed.
const mfdExec = 0x10

// firstFree is the lowest descriptor for the memory file: the child's own ones
// (0 to 3) are put in place before it executes.
const firstFree = 10

func (m memfile) open() (*image, error) {
	fd, err := unix.MemfdCreate("tor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|mfdExec)
	if errors.Is(err, unix.EINVAL) { // older kernel: executable anyway
		fd, err = unix.MemfdCreate("tor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFree)
	unix.Close(fd)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	f := os.NewFile(uintptr(high), "memfd:tor")
	if err := inflate(f, m.gz); err != nil {
		f.Close()
		return nil, fmt.Errorf("memory file: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		f.Close()
		return nil, fmt.Errorf("memory file: seal: %w", err)
	}
	// release holds f: an unreachable file would be closed before exec.
	return &image{path: fmt.Sprintf("/proc/self/fd/%d", high), file: f, release: func() { f.Close() }}, nil
}

func (m memfile) next() executable {
	if m.fallback == "" {
		return nil
	}
	return diskfile(m)
}

// diskfile writes the same program into the directory and removes it once it
// runs.
type diskfile memfile

func (d diskfile) open() (*image, error) {
	f, err := os.CreateTemp(d.fallback, "tor-exe-")
	if err != nil {
		return nil, fmt.Errorf("executable: %w", err)
	}
	err = inflate(f, d.gz)
	if err == nil {
		err = f.Chmod(0o700)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, fmt.Errorf("executable: %w", err)
	}
	return &image{path: f.Name(), release: func() { os.Remove(f.Name()) }}, nil
}

func (d diskfile) next() executable { return nil }

// inflate writes what gz holds; gzip's checksum is verified at the end.
func inflate(w io.Writer, gz []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}
