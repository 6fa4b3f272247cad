/* The bare system calls of health checks, to compare with: `floor serve PORT` answers, `floor tcp|http PORT RATE
 * SECONDS` probes 127.1.0.1, 127.1.0.2, ... in turn, each at a time of its own, from one thread with one epoll.
 *
 * A probe is socket, connect, epoll_ctl, (epoll_wait), [send, (epoll_wait), recv,] setsockopt SO_LINGER, close: the reset
 * is part of it, because without it the local ports are used up after three seconds. There is no timeout, no verdict and
 * no memory of who was asked.
 *
 * Prints: probes that ended well, all that ended, CPU seconds of this process for them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, BURST = 64, MOST = 65536 };

static const char REPLY[] = "HTTP/1.0 200 OK\r\nServer: floor\r\nContent-Length: 12\r\n\r\nHello, you.\n";
static unsigned char sent[MOST];

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Accepts and answers; blocking, one after the other: a reply is one segment. What only connects never gets here
 * (TCP_DEFER_ACCEPT): a prober must not wait for its server. */
static _Noreturn void serve(int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[4096];
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one);
	if (bind(listening, (struct sockaddr *)&any, sizeof any) < 0 || listen(listening, 4096) < 0)
		fail("serve");
	for (;;) {
		int fd = accept(listening, NULL, NULL);
		if (fd < 0)
			continue;
		if (recv(fd, request, sizeof request, MSG_DONTWAIT) > 0)
			(void)!send(fd, REPLY, sizeof REPLY - 1, MSG_NOSIGNAL);
		close(fd);
	}
}

static int begin(int epfd, int port, uint32_t number, int http)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct epoll_event event = {.events = EPOLLOUT};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || fd >= MOST)
		fail("socket");
	to.sin_addr.s_addr = htonl(0x7f010001u + number);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
		fail("connect");
	if (http)
		event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	event.data.fd = fd;
	sent[fd] = 0;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
	return fd;
}

/* 1: the probe is over and went well; 0: over; -1: goes on. */
static int proceed(int fd, uint32_t events, int http, const char *request, size_t size)
{
	static char reply[65536];
	ssize_t n;
	if (events & EPOLLERR)
		return 0;
	if (!http)
		return 1;
	if (!sent[fd]) {
		if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
			return 0;
		sent[fd] = 1;
	}
	if (!(events & EPOLLIN))
		return -1;
	n = recv(fd, reply, sizeof reply, 0);
	return n == sizeof REPLY - 1 && memcmp(reply, REPLY, 12) == 0;
}

static int probe(int http, int port, long rate, double seconds)
{
	static const struct linger at_once = {1, 0};
	struct epoll_event events[BATCH];
	char request[256];
	int epfd = epoll_create1(EPOLL_CLOEXEC), i, n;
	int64_t start = now_ns(), next = start, end = start + (int64_t)(seconds * 1e9), gap = 1000000000 / rate;
	long begun = 0, well = 0, ended = 0;
	size_t size = (size_t)snprintf(
	        request, sizeof request,
	        "GET /health HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.1.0.1:%d\r\n\r\n", port);
	while (next < end || ended < begun) {
		int64_t now = now_ns(), wait;
		struct timespec sleep;
		for (i = 0; i < BURST && next <= now && next < end; i++, next += gap)
			begin(epfd, port, (uint32_t)(begun++ % rate), http);
		wait = next < end ? next - now : 1000000000;
		if (wait < 0)
			wait = 0;
		sleep.tv_sec = wait / 1000000000;
		sleep.tv_nsec = wait % 1000000000;
		n = epoll_pwait2(epfd, events, BATCH, &sleep, NULL);
		for (i = 0; i < n; i++) {
			int fd = events[i].data.fd, over = proceed(fd, events[i].events, http, request, size);
			if (over < 0)
				continue;
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
			close(fd);
			well += over;
			ended++;
		}
	}
	printf("%ld %ld %.6f\n", well, ended, cpu_s());
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(atoi(argv[2]));
	if (argc == 5)
		return probe(strcmp(argv[1], "http") == 0, atoi(argv[2]), atol(argv[3]), atof(argv[4]));
	fprintf(stderr, "usage: floor serve PORT | floor tcp|http PORT RATE SECONDS\n");
	return 2;
}
