/* The benchmark's client: asks, checks every answer, and prints what it took as one line of JSON.

   load MODE DOOR TUNNEL NAME CA HEADER THREADS SECONDS PATH [AMOUNT]

     MODE    requests   one connection per thread, one request after another, for SECONDS; no two have the same head
             same       the same, but all have the same bytes
             tunnels    a new connection for each request, for SECONDS, or AMOUNT of them where that is given
             literals   AMOUNT tunnels, each to another host: 127.1.0.1, 127.1.0.2, … 127.1.1.1, …
             events     AMOUNT streams of events from PATH, one after another, each event's delay taken
             download   PATH, AMOUNT times                upload     AMOUNT bytes to PATH
             websocket  frames of 64 bytes there and back, for SECONDS
             until-refused   requests until one is not answered as it should be; says when the last good one was
     DOOR    tcp:ADDRESS:PORT or unix:PATH: where to connect
     TUNNEL  HOST:PORT to CONNECT to; - for none
     NAME    whose certificate the other end must show; - for no TLS. The Host header is TUNNEL's, or else NAME's
     HEADER  one more header line; - for none
     PATH    in `METHOD /path` form; with the method POST a small body goes along                                     */
#include "peer.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>

static const char *mode, *door, *tunnel, *name, *authority, *header, *path_line;
static int threads;
static double seconds;
static uint64_t amount;
static SSL_CTX *context;
static char method[16], path[512];
static uint64_t began, until;
static pthread_barrier_t all_connected; /* what connecting costs is no part of what a request costs */
static uint64_t next_number; /* of the tunnel that is made next, over all threads */

#define NUMBER "X-Number: "
enum { NUMBER_DIGITS = 9 };

static const char small_body[] =
    "{\"model\":\"bench-model\",\"max_tokens\":64,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

struct worker {
    pthread_t thread;
    uint64_t *took;
    size_t count, room;
    uint64_t last_good;
    char failure[160];
};

static void keep(struct worker *worker, uint64_t took) {
    if (worker->count == worker->room) {
        worker->room = worker->room ? worker->room * 2 : 4096;
        worker->took = realloc(worker->took, worker->room * sizeof *worker->took);
        if (!worker->took) die("no memory");
    }
    worker->took[worker->count++] = took;
}

static int fail(struct worker *worker, const char *what) {
    snprintf(worker->failure, sizeof worker->failure, "%s", what);
    return -1;
}

static int connect_door(void) {
    if (!strncmp(door, "unix:", 5)) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", door + 5);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return connect(fd, (struct sockaddr *)&address, sizeof address) ? (close(fd), -1) : fd;
    }
    char host[64];
    int port;
    if (sscanf(door, "tcp:%63[^:]:%d", host, &port) != 2) die("%s is no door", door);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) return close(fd), -1;
    no_delay(fd);
    return fd;
}

/* Connect, tunnel and shake hands; 0 if that went well. The caller closes in either case. */
static int open_peer(struct worker *worker, struct peer *peer, const char *to, const char *host) {
    peer->from = peer->to = 0;
    peer->tls = NULL;
    peer->fd = connect_door();
    if (peer->fd < 0) return fail(worker, "cannot connect");
    if (to) {
        char ask[512];
        int length = snprintf(ask, sizeof ask, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to);
        if (peer_send(peer, ask, (size_t)length)) return fail(worker, "the tunnel was not asked for");
        size_t head = peer_head(peer);
        if (!head) return fail(worker, "no answer to CONNECT");
        if (strncmp(peer->buffer, "HTTP/1.1 200", 12)) return fail(worker, "the tunnel was refused");
        peer->from += head;
    }
    if (!host) return 0;
    peer->tls = SSL_new(context);
    SSL_set_fd(peer->tls, peer->fd);
    if (strspn(host, "0123456789.") == strlen(host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(peer->tls), host);
    } else {
        SSL_set_tlsext_host_name(peer->tls, host);
        SSL_set1_host(peer->tls, host);
    }
    if (SSL_connect(peer->tls) != 1) return fail(worker, "the handshake failed");
    return 0;
}

static size_t build_request(char *into, size_t room, const char *host, const char *more) {
    int has_body = !strcmp(method, "POST") && !more[0];
    int length = snprintf(into, room, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s", method, path, host,
                          strcmp(header, "-") ? header : "", strcmp(header, "-") ? "\r\n" : "");
    length += snprintf(into + length, room - (size_t)length, "%s", more);
    if (!strcmp(mode, "requests"))
        length += snprintf(into + length, room - (size_t)length, NUMBER "%0*d\r\n", NUMBER_DIGITS, 0);
    if (has_body)
        length += snprintf(into + length, room - (size_t)length,
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n", sizeof small_body - 1);
    length += snprintf(into + length, room - (size_t)length, "\r\n%s", has_body ? small_body : "");
    return (size_t)length;
}

/* Read a response; 0 if it is 200. The body's beginning goes to `first`, its length to `bytes`. */
static int read_response(struct worker *worker, struct peer *peer, char *first, size_t room, int64_t *bytes) {
    size_t length = peer_head(peer);
    if (!length) return fail(worker, "the connection ended before the answer");
    char *head = peer->buffer + peer->from;
    if (strncmp(head, "HTTP/1.1 200", 12)) return fail(worker, (head[60] = 0, head));
    char text[32] = "";
    const char *value = head_value(head, length, "content-length:");
    if (value) snprintf(text, sizeof text, "%.20s", value);
    int is_chunked = value_is(head_value(head, length, "transfer-encoding:"), "chunked");
    peer->from += length;
    *bytes = peer_body(peer, text[0] ? text : NULL, is_chunked, first, room);
    return *bytes < 0 ? fail(worker, "the answer ended too soon") : 0;
}

static int ask(struct worker *worker, struct peer *peer, const char *request, size_t length) {
    char first[1024];
    int64_t bytes;
    if (peer_send(peer, request, length)) return fail(worker, "the request was not taken");
    if (read_response(worker, peer, first, sizeof first, &bytes)) return -1;
    /* A grant to an address has no key in it: there it is enough that the service has answered. */
    const char *said = strcmp(mode, "literals") ? "\"key\":\"right\"" : "\"key\":";
    return strstr(first, said) ? 0 : fail(worker, "the key did not arrive at the service");
}

static const char *host_header(void) { return strcmp(tunnel, "-") ? tunnel : strcmp(name, "-") ? name : "proxy"; }
static const char *none_or(const char *word) { return strcmp(word, "-") ? word : NULL; }

/* Count up a number in a request's head, so that no program can know the request from the one before. */
static void count_up(char *last_digit) {
    for (char *at = last_digit; (*at)++ == '9'; at--) *at = '0';
}

static void run_requests(struct worker *worker, struct peer *peer) {
    char request[2048];
    size_t length = build_request(request, sizeof request, host_header(), "");
    char *number = strstr(request, NUMBER), *last_digit = number ? number + strlen(NUMBER) + NUMBER_DIGITS - 1 : NULL;
    int is_bad = open_peer(worker, peer, none_or(tunnel), none_or(name)) ||
                 ask(worker, peer, request, length); /* the first is not counted: it dials */
    if (pthread_barrier_wait(&all_connected) == PTHREAD_BARRIER_SERIAL_THREAD) began = now_ns();
    pthread_barrier_wait(&all_connected);
    if (is_bad) return;
    uint64_t before = began, until = began + (uint64_t)(seconds * 1e9);
    int is_watching = !strcmp(mode, "until-refused");
    while (before < until) {
        if (last_digit) count_up(last_digit);
        if (ask(worker, peer, request, length)) return;
        uint64_t now = now_ns();
        if (!is_watching) keep(worker, now - before);
        worker->last_good = before = now;
    }
}

static void run_tunnels(struct worker *worker, struct peer *peer) {
    char request[2048], to[64], host[32];
    int is_literal = !strcmp(mode, "literals"), port = 0;
    const char *colon = strrchr(tunnel, ':');
    if (is_literal) port = atoi(colon ? colon + 1 : "0");
    while (amount || now_ns() < until) {
        uint64_t number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
        if (amount && number >= amount) return;
        if (is_literal) {
            snprintf(host, sizeof host, "127.1.%d.%d", (int)(number / 100 % 256), (int)(number % 100) + 1);
            snprintf(to, sizeof to, "%s:%d", host, port);
        }
        size_t length = build_request(request, sizeof request, is_literal ? to : host_header(), "");
        uint64_t before = now_ns();
        int is_bad = open_peer(worker, peer, is_literal ? to : none_or(tunnel), is_literal ? host : none_or(name)) ||
                     ask(worker, peer, request, length);
        peer_close(peer);
        if (is_bad) return;
        keep(worker, now_ns() - before);
    }
}

/* The first of the times kept is to the first event, the others are each event's way through. */
static uint64_t *first_events;

static void run_events(struct worker *worker, struct peer *peer) {
    char request[2048], small[1024];
    snprintf(small, sizeof small, "%s", path);
    strcpy(path, "/small");
    size_t length = build_request(request, sizeof request, host_header(), "");
    if (open_peer(worker, peer, none_or(tunnel), none_or(name)) || ask(worker, peer, request, length)) return;
    strcpy(path, small);
    length = build_request(request, sizeof request, host_header(), "");
    for (uint64_t run = 0; run < amount; run++) {
        uint64_t before = now_ns();
        if (peer_send(peer, request, length)) return (void)fail(worker, "the request was not taken");
        size_t head = peer_head(peer);
        if (!head || strncmp(peer->buffer + peer->from, "HTTP/1.1 200", 12))
            return (void)fail(worker, "no stream of events came");
        peer->from += head;
        first_events[run] = 0;
        for (;;) {
            char *line = peer_line(peer);
            if (!line) return (void)fail(worker, "the events ended too soon");
            uint64_t size = strtoull(line, NULL, 16);
            char event[4096];
            if (size >= sizeof event || peer_take(peer, event, size) || peer_take(peer, NULL, 2))
                return (void)fail(worker, "an event is not whole");
            uint64_t now = now_ns();
            if (size == 0) break;
            event[size] = 0;
            if (!first_events[run]) first_events[run] = now - before;
            for (char *at = event; (at = strstr(at, "data: ")); at += 6) keep(worker, now - strtoull(at + 6, NULL, 10));
        }
    }
}

static void run_download(struct worker *worker, struct peer *peer) {
    char request[2048];
    int64_t bytes;
    size_t length = build_request(request, sizeof request, host_header(), "");
    if (open_peer(worker, peer, none_or(tunnel), none_or(name))) return;
    for (uint64_t run = 0; run < amount; run++) {
        uint64_t before = now_ns();
        if (peer_send(peer, request, length)) return (void)fail(worker, "the request was not taken");
        if (read_response(worker, peer, NULL, 0, &bytes)) return;
        if ((uint64_t)bytes != strtoull(strrchr(path, '/') + 1, NULL, 10))
            return (void)fail(worker, "the download is not whole");
        keep(worker, now_ns() - before);
    }
}

static void run_upload(struct worker *worker, struct peer *peer) {
    static char piece[64 << 10];
    char request[2048], more[64], first[256], wanted[64];
    int64_t bytes;
    memset(piece, 'y', sizeof piece);
    snprintf(more, sizeof more, "Content-Length: %llu\r\n", (unsigned long long)amount);
    size_t length = build_request(request, sizeof request, host_header(), more);
    if (open_peer(worker, peer, none_or(tunnel), none_or(name))) return;
    uint64_t before = now_ns();
    if (peer_send(peer, request, length)) return (void)fail(worker, "the request was not taken");
    for (uint64_t left = amount; left;) {
        size_t part = left < sizeof piece ? (size_t)left : sizeof piece;
        if (peer_send(peer, piece, part)) return (void)fail(worker, "the body was not taken");
        left -= part;
    }
    if (read_response(worker, peer, first, sizeof first, &bytes)) return;
    snprintf(wanted, sizeof wanted, "\"key\":\"right\",\"bytes\":%llu}", (unsigned long long)amount);
    if (!strstr(first, wanted)) return (void)fail(worker, "the upload did not arrive whole");
    keep(worker, now_ns() - before);
}

static void run_websocket(struct worker *worker, struct peer *peer) {
    char request[2048], frame[70], back[66];
    size_t length = build_request(request, sizeof request, host_header(),
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: bmlnaHR5YXJkLWJlbmNoIQ==\r\n");
    if (open_peer(worker, peer, none_or(tunnel), none_or(name))) return;
    if (peer_send(peer, request, length)) return (void)fail(worker, "the request was not taken");
    size_t head = peer_head(peer);
    if (!head || strncmp(peer->buffer + peer->from, "HTTP/1.1 101", 12))
        return (void)fail(worker, "no WebSocket was opened");
    peer->from += head;
    memset(frame, 'z', sizeof frame);
    frame[0] = (char)0x82;
    frame[1] = (char)(0x80 | 64);
    memset(frame + 2, 0, 4); /* the mask */
    for (uint64_t before = now_ns(); before < until;) {
        if (peer_send(peer, frame, sizeof frame) || peer_take(peer, back, sizeof back) || memcmp(back + 2, frame + 6, 64))
            return (void)fail(worker, "a frame did not come back");
        uint64_t now = now_ns();
        keep(worker, now - before);
        before = now;
    }
}

static void *work(void *given) {
    struct worker *worker = given;
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) die("no memory");
    peer->fd = -1;
    if (!strcmp(mode, "requests") || !strcmp(mode, "same") || !strcmp(mode, "until-refused")) run_requests(worker, peer);
    else if (!strcmp(mode, "tunnels") || !strcmp(mode, "literals")) run_tunnels(worker, peer);
    else if (!strcmp(mode, "events")) run_events(worker, peer);
    else if (!strcmp(mode, "download")) run_download(worker, peer);
    else if (!strcmp(mode, "upload")) run_upload(worker, peer);
    else if (!strcmp(mode, "websocket")) run_websocket(worker, peer);
    else die("there is no mode %s", mode);
    peer_close(peer);
    free(peer);
    return NULL;
}

static int by_size(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double ms_at(const uint64_t *sorted, size_t count, double part) {
    if (!count) return 0;
    size_t at = (size_t)((double)count * part);
    return (double)sorted[at < count ? at : count - 1] / 1e6;
}

int main(int count, char **words) {
    if (count < 10) die("load MODE DOOR TUNNEL NAME CA HEADER THREADS SECONDS PATH [AMOUNT]");
    signal(SIGPIPE, SIG_IGN);
    mode = words[1], door = words[2], tunnel = words[3], name = words[4], authority = words[5], header = words[6];
    threads = atoi(words[7]), seconds = atof(words[8]), path_line = words[9];
    amount = count > 10 ? strtoull(words[10], NULL, 10) : 0;
    if (sscanf(path_line, "%15s %511s", method, path) != 2) die("%s is no METHOD /path", path_line);
    if (strcmp(name, "-") || !strcmp(mode, "literals")) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(context, authority, NULL) != 1) die("%s holds no authority", authority);
    }
    first_events = calloc(amount + 1, sizeof *first_events);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!workers || !first_events) die("no memory");
    uint64_t total = 0, last_good = 0;
    pthread_barrier_init(&all_connected, NULL, (unsigned)threads);
    began = now_ns();
    until = began + (uint64_t)(seconds * 1e9);
    for (int at = 0; at < threads; at++)
        if (pthread_create(&workers[at].thread, NULL, work, &workers[at])) die("no thread");
    for (int at = 0; at < threads; at++) pthread_join(workers[at].thread, NULL);
    double took_s = (double)(now_ns() - began) / 1e9;
    const char *failure = "";
    int failures = 0;
    for (int at = 0; at < threads; at++) {
        total += workers[at].count;
        if (workers[at].last_good > last_good) last_good = workers[at].last_good;
        if (workers[at].failure[0]) failure = workers[at].failure, failures++;
    }
    uint64_t *all = malloc((total + 1) * sizeof *all);
    if (!all) die("no memory");
    size_t filled = 0;
    for (int at = 0; at < threads; at++) {
        if (workers[at].count) memcpy(all + filled, workers[at].took, workers[at].count * sizeof *all);
        filled += workers[at].count;
    }
    qsort(all, filled, sizeof *all, by_size);
    qsort(first_events, amount < 1 || strcmp(mode, "events") ? 0 : (size_t)amount, sizeof *first_events, by_size);
    char *end = strpbrk((char *)failure, "\r\n\"");
    if (end) *end = 0;
    printf("{\"count\": %zu, \"seconds\": %.6f, \"p50_ms\": %.6f, \"p99_ms\": %.6f, \"max_ms\": %.6f, "
           "\"first_event_ms\": %.6f, \"last_good_at\": %.6f, \"failures\": %d, \"failure\": \"%s\"}\n",
           filled, took_s, ms_at(all, filled, 0.5), ms_at(all, filled, 0.99), ms_at(all, filled, 1.0),
           strcmp(mode, "events") ? 0.0 : ms_at(first_events, (size_t)amount, 0.5), (double)last_good / 1e9, failures,
           failure);
    return 0;
}
