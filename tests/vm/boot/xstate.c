/* LD_PRELOAD for user-mode Linux 6.1. It hands PTRACE_SETREGSET a floating-point area of 2696 bytes (x87 to AVX-512
 * and PKRU); a host whose XSAVE area has another size (AMX: 11008) refuses it, and the guest panics. This ptrace()
 * translates between the two sizes. AVX-512 state survives; AMX tiles, which a 6.1 guest does not know, do not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEK_FIRST = 1, PEEK_LAST = 3, GETREGSET = 0x4204, SETREGSET = 0x4205, NT_X86_XSTATE = 0x202 };
enum { UML_SIZE = 2696, XSTATE_BV = 512 };

static size_t host_size; /* of the XSAVE area; 0: not asked yet */

static long raw(long request, long pid, void *addr, void *data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

static long get_xstate(pid_t pid, void *addr, struct iovec *user, struct iovec *host)
{
	uint64_t *present = (uint64_t *)((uint8_t *)host->iov_base + XSTATE_BV);
	size_t n;

	if (raw(GETREGSET, pid, addr, host) < 0)
		return -1;
	host_size = host->iov_len;
	n = user->iov_len < host_size ? user->iov_len : host_size;
	if (n < host_size) /* name only the components that are inside the part handed on */
		*present &= n >= UML_SIZE ? 0x2e7 : n >= 2688 ? 0xe7 : n >= 832 ? 7 : 3;
	memcpy(user->iov_base, host->iov_base, n);
	user->iov_len = n;
	return 0;
}

static long set_xstate(pid_t pid, void *addr, const struct iovec *user, struct iovec *host)
{
	size_t n;

	if (!host_size) {
		if (raw(GETREGSET, pid, addr, host) < 0)
			return -1;
		host_size = host->iov_len;
	}
	n = user->iov_len < host_size ? user->iov_len : host_size;
	memset(host->iov_base, 0, host_size);
	memcpy(host->iov_base, user->iov_base, n);
	host->iov_len = host_size;
	return raw(SETREGSET, pid, addr, host);
}

long ptrace(int request, ...)
{
	static __thread uint8_t area[32768] __attribute__((aligned(64)));
	struct iovec host = {area, sizeof area};
	void *addr, *data;
	va_list args;
	pid_t pid;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);
	if (request >= PEEK_FIRST && request <= PEEK_LAST) { /* the raw call stores the word, the function returns it */
		long word;

		if (raw(request, pid, addr, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	if ((long)addr == NT_X86_XSTATE && request == GETREGSET)
		return get_xstate(pid, addr, data, &host);
	if ((long)addr == NT_X86_XSTATE && request == SETREGSET)
		return set_xstate(pid, addr, data, &host);
	return raw(request, pid, addr, data);
}
