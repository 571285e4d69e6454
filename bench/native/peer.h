/* One connection, with TLS or without, read through a buffer. Shared by load.c and upstream.c; not part of the product. */
#ifndef PEER_H
#define PEER_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PEER_BUFFER (256 << 10)

struct peer {
    int fd;
    SSL *tls; /* NULL: plain */
    size_t from, to;
    char buffer[PEER_BUFFER + 1];
};

static inline uint64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static inline void die(const char *format, ...) {
    va_list words;
    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
    fputc('\n', stderr);
    exit(1);
}

static inline void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on a Unix socket, which has none */
}

/* Return how many bytes have arrived, 0 at the end or an error. */
static inline size_t peer_receive(struct peer *peer, void *into, size_t room) {
    for (;;) {
        ssize_t got = peer->tls ? SSL_read(peer->tls, into, (int)room) : read(peer->fd, into, room);
        if (got > 0) return (size_t)got;
        if (peer->tls || got == 0 || errno != EINTR) return 0;
    }
}

/* Return 0 if all was written. */
static inline int peer_send(struct peer *peer, const void *from, size_t length) {
    const char *at = from;
    while (length) {
        ssize_t sent = peer->tls ? SSL_write(peer->tls, at, (int)length) : send(peer->fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        at += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* Read more behind what is in the buffer; 0 if nothing came, or there is no room. */
static inline size_t peer_fill(struct peer *peer) {
    if (peer->from == peer->to) peer->from = peer->to = 0;
    if (peer->from && peer->to == PEER_BUFFER) {
        memmove(peer->buffer, peer->buffer + peer->from, peer->to - peer->from);
        peer->to -= peer->from;
        peer->from = 0;
    }
    size_t got = peer_receive(peer, peer->buffer + peer->to, PEER_BUFFER - peer->to);
    peer->to += got;
    peer->buffer[peer->to] = 0;
    return got;
}

/* Return the length of the head at the buffer's front, with its empty line; 0 if the connection ended before. */
static inline size_t peer_head(struct peer *peer) {
    for (;;) {
        char *begin = peer->buffer + peer->from;
        char *end = memmem(begin, peer->to - peer->from, "\r\n\r\n", 4);
        if (end) return (size_t)(end - begin) + 4;
        if (!peer_fill(peer)) return 0;
    }
}

/* Copy exactly so many bytes out of the connection; `into` may be NULL. 0 if they came. */
static inline int peer_take(struct peer *peer, char *into, size_t length) {
    while (length) {
        if (peer->from == peer->to && !peer_fill(peer)) return -1;
        size_t piece = peer->to - peer->from;
        if (piece > length) piece = length;
        if (into) {
            memcpy(into, peer->buffer + peer->from, piece);
            into += piece;
        }
        peer->from += piece;
        length -= piece;
    }
    return 0;
}

/* Return a line without its end, in place, NULL at the connection's end. Valid until more is read. */
static inline char *peer_line(struct peer *peer) {
    for (;;) {
        char *begin = peer->buffer + peer->from;
        char *end = memmem(begin, peer->to - peer->from, "\r\n", 2);
        if (end) {
            *end = 0;
            peer->from += (size_t)(end - begin) + 2;
            return begin;
        }
        if (!peer_fill(peer)) return NULL;
    }
}

/* Return a header's value in a head, NULL if it is not there. The name is in lower case, with its colon. */
static inline const char *head_value(const char *head, size_t length, const char *name) {
    size_t name_length = strlen(name);
    const char *line = head, *end = head + length;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((size_t)(end - line) > name_length && !strncasecmp(line, name, name_length)) {
            line += name_length;
            while (*line == ' ') line++;
            return line;
        }
    }
    return NULL;
}

static inline int value_is(const char *value, const char *wanted) {
    return value && !strncasecmp(value, wanted, strlen(wanted));
}

/* Pass over a body as its head frames it; return its bytes, or -1. `first` gets what fits of it, and a 0 behind. */
static inline int64_t peer_body(struct peer *peer, const char *length_text, int is_chunked, char *first, size_t room) {
    int64_t total = 0;
    size_t kept = 0;
    int is_over = 0;
    while (!is_over) {
        uint64_t left = is_chunked ? 0 : (length_text ? strtoull(length_text, NULL, 10) : 0);
        if (is_chunked) {
            char *line = peer_line(peer);
            if (!line) return -1;
            left = strtoull(line, NULL, 16);
        }
        is_over = !is_chunked || left == 0;
        while (left) {
            if (peer->from == peer->to && !peer_fill(peer)) return -1;
            size_t piece = peer->to - peer->from;
            if (piece > left) piece = (size_t)left;
            if (kept + 1 < room) {
                size_t copied = piece < room - 1 - kept ? piece : room - 1 - kept;
                memcpy(first + kept, peer->buffer + peer->from, copied);
                kept += copied;
            }
            peer->from += piece;
            left -= piece;
            total += (int64_t)piece;
        }
        if (is_chunked && peer_take(peer, NULL, 2)) return -1;
    }
    if (room) first[kept] = 0;
    return total;
}

static inline void peer_close(struct peer *peer) {
    if (peer->tls) {
        SSL_set_quiet_shutdown(peer->tls, 1);
        SSL_shutdown(peer->tls);
        SSL_free(peer->tls);
    }
    if (peer->fd >= 0) close(peer->fd);
    peer->tls = NULL;
    peer->fd = -1;
}

#endif
