// Package isolation takes from a process what it will not need any more: files, connections, programs, other processes.
//
// What a process does in its start (open files and sockets, start its Tor) is done when it calls Apply. From then on the
// kernel refuses it, and every thread and child that it will ever have, all that Rules does not name. There is no
// way back. Two means of the kernel are used together:
//
//   - Landlock, for what can be named: files, TCP ports, signals and abstract sockets of others;
//   - a filter for system calls (seccomp), for what cannot: new sockets, programs, memory, limits and priorities of other
//     processes, shared memory, mounts, namespaces, kernel modules.
//
// The filter answers EPERM to the system calls that it names, and lets others through. A list of what is allowed would be
// shorter, but it would have to follow the Go runtime and the C library: what they call differs with their versions and with
// the load. Numbers newer than the table of names, and those of other tables of this machine (int 0x80, x32), are answered
// as a kernel does that has none of them (ENOSYS), so that no call has a second name.
//
// What the running kernel lacks is left out; Kernel says what that is.
package isolation
