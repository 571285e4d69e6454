/* The benchmark's service: HTTP/1.1 with TLS on one port and without on another, a thread per connection.

   upstream CERTIFICATES KEY    prints its two ports and serves until it is killed

   CERTIFICATES holds default.pem (key and chain), and perhaps 0.pem, 1.pem, … for whoever comes to 127.1.<number>.*.
   Each answer says whether the KEY arrived ("key":"right"), as a bearer token or an API key, and never the key itself.

     /small           430 bytes of JSON                   /bytes/N      N bytes
     /events/N/MS     N events, MS apart, each with the time it was sent (CLOCK_MONOTONIC, ns)
     /sink            takes a body, says how long it was  /v1/messages  a model's answer with its use
     /echo            a WebSocket that sends back what comes                                                     */
#include "peer.h"
#include <openssl/evp.h>
#include <openssl/sha.h>

#define MAX_CERTIFICATES 256

static SSL_CTX *contexts[MAX_CERTIFICATES + 1]; /* the last is the default */
static const char *wanted_key;

struct arrival {
    int fd;
    int has_tls;
};

static int has_key(const char *head, size_t length) {
    const char *bearer = head_value(head, length, "authorization:"), *key = head_value(head, length, "x-api-key:");
    size_t wanted = strlen(wanted_key);
    if (bearer && !strncasecmp(bearer, "bearer ", 7)) return !strncmp(bearer + 7, wanted_key, wanted);
    return key && !strncmp(key, wanted_key, wanted);
}

static int send_json(struct peer *peer, const char *body) {
    char whole[2048];
    int length = snprintf(whole, sizeof whole,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          strlen(body), body);
    return peer_send(peer, whole, (size_t)length);
}

static int send_small(struct peer *peer, int is_right) {
    static const char filler[] = "nothing to see here, move on to the next word of this line and to its very end. ";
    char body[512];
    int length = snprintf(body, sizeof body, "{\"key\":\"%s\",\"text\":\"", is_right ? "right" : "wrong");
    while (length + (int)sizeof filler + 2 < 430) length += sprintf(body + length, "%s", filler);
    sprintf(body + length, "\"}");
    return send_json(peer, body);
}

static int send_model_answer(struct peer *peer, int is_right) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-model\",\"key\":\"%s\","
             "\"content\":[{\"type\":\"text\",\"text\":\"A short answer, as models give them on a good day.\"}],"
             "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,"
             "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":12}}",
             is_right ? "right" : "wrong");
    return send_json(peer, body);
}

/* Bytes as in the packages that agents download: compressed, so that hardly any repeat. */
static void fill(char *piece, size_t size) {
    uint64_t state = 88172645463325252;
    for (size_t at = 0; at < size; at++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        piece[at] = (char)state;
    }
}

static int send_bytes(struct peer *peer, uint64_t length) {
    char piece[64 << 10];
    fill(piece, sizeof piece);
    char head[256];
    int head_length = snprintf(head, sizeof head,
                               "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
                               (unsigned long long)length);
    if (peer_send(peer, head, (size_t)head_length)) return -1;
    while (length) {
        size_t part = length < sizeof piece ? (size_t)length : sizeof piece;
        if (peer_send(peer, piece, part)) return -1;
        length -= part;
    }
    return 0;
}

static int send_events(struct peer *peer, int count, int gap_ms) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    if (peer_send(peer, head, sizeof head - 1)) return -1;
    for (int number = 0; number < count; number++) {
        char event[128], chunk[160];
        if (number) usleep((useconds_t)gap_ms * 1000);
        int length = snprintf(event, sizeof event, "data: %llu\n\n", (unsigned long long)now_ns());
        length = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", length, event);
        if (peer_send(peer, chunk, (size_t)length)) return -1;
    }
    return peer_send(peer, "0\r\n\r\n", 5);
}

/* Never returns to HTTP: -1 at the end. */
static int echo(struct peer *peer, const char *key) {
    char joined[128], answer[256];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[64];
    int key_length = (int)strcspn(key, "\r ");
    snprintf(joined, sizeof joined, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key_length > 64 ? 64 : key_length, key);
    SHA1((unsigned char *)joined, strlen(joined), digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    if (peer_send(peer, answer, (size_t)length)) return -1;
    for (;;) {
        unsigned char front[6];
        char frame[2 + 125];
        if (peer_take(peer, (char *)front, sizeof front)) return -1;
        size_t size = front[1] & 0x7f;
        if (size > 125 || peer_take(peer, frame + 2, size)) return -1;
        for (size_t at = 0; at < size; at++) frame[2 + at] ^= (char)front[2 + at % 4];
        frame[0] = (char)front[0];
        frame[1] = (char)size;
        if (peer_send(peer, frame, 2 + size)) return -1;
    }
}

static int answer(struct peer *peer, char *head, size_t length) {
    char path[256] = "", text[160];
    sscanf(head, "%*s %255s", path);
    int is_right = has_key(head, length);
    const char *upgrade = head_value(head, length, "sec-websocket-key:");
    if (upgrade && !strcmp(path, "/echo")) {
        char key[80];
        snprintf(key, sizeof key, "%.64s", upgrade);
        peer->from += length;
        return echo(peer, key);
    }
    const char *body_length = head_value(head, length, "content-length:");
    int is_chunked = value_is(head_value(head, length, "transfer-encoding:"), "chunked");
    if (body_length) {
        snprintf(text, sizeof text, "%.20s", body_length);
        body_length = text;
    }
    peer->from += length;
    int64_t taken = peer_body(peer, body_length, is_chunked, NULL, 0);
    if (taken < 0) return -1;
    unsigned long long bytes;
    int count, gap_ms;
    if (sscanf(path, "/bytes/%llu", &bytes) == 1) return send_bytes(peer, bytes);
    if (sscanf(path, "/events/%d/%d", &count, &gap_ms) == 2) return send_events(peer, count, gap_ms);
    if (!strcmp(path, "/v1/messages")) return send_model_answer(peer, is_right);
    if (!strcmp(path, "/sink")) {
        snprintf(text, sizeof text, "{\"key\":\"%s\",\"bytes\":%lld}", is_right ? "right" : "wrong", (long long)taken);
        return send_json(peer, text);
    }
    return send_small(peer, is_right);
}

static SSL_CTX *context_for(int fd) {
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    if (!getsockname(fd, (struct sockaddr *)&own, &length)) {
        uint32_t address = ntohl(own.sin_addr.s_addr);
        if (address >> 16 == (127 << 8 | 1) && contexts[address >> 8 & 0xff]) return contexts[address >> 8 & 0xff];
    }
    return contexts[MAX_CERTIFICATES];
}

static void *serve(void *given) {
    struct arrival arrival = *(struct arrival *)given;
    free(given);
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) die("no memory");
    peer->fd = arrival.fd;
    no_delay(peer->fd);
    if (arrival.has_tls) {
        peer->tls = SSL_new(context_for(peer->fd));
        SSL_set_fd(peer->tls, peer->fd);
    }
    if (!peer->tls || SSL_accept(peer->tls) == 1) {
        size_t length;
        while ((length = peer_head(peer)) && !answer(peer, peer->buffer + peer->from, length)) {}
    }
    peer_close(peer);
    free(peer);
    return NULL;
}

static void *listen_on(void *given) {
    struct arrival listening = *(struct arrival *)given;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 << 10);
    for (;;) {
        struct arrival *arrival = malloc(sizeof *arrival);
        pthread_t thread;
        if (!arrival) die("no memory");
        arrival->has_tls = listening.has_tls;
        arrival->fd = accept(listening.fd, NULL, NULL);
        if (arrival->fd < 0 || pthread_create(&thread, &detached, serve, arrival)) {
            if (arrival->fd >= 0) close(arrival->fd);
            free(arrival);
        }
    }
    return NULL;
}

static int open_port(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024)) die("cannot listen");
    getsockname(fd, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return fd;
}

static SSL_CTX *load_context(const char *path) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, path) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
        die("%s holds no certificate with its key", path);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

int main(int count, char **words) {
    if (count != 3) die("upstream CERTIFICATES KEY");
    signal(SIGPIPE, SIG_IGN);
    wanted_key = words[2];
    char path[4096];
    snprintf(path, sizeof path, "%s/default.pem", words[1]);
    contexts[MAX_CERTIFICATES] = load_context(path);
    for (int number = 0; number < MAX_CERTIFICATES; number++) {
        snprintf(path, sizeof path, "%s/%d.pem", words[1], number);
        if (!access(path, R_OK)) contexts[number] = load_context(path);
    }
    int tls_port, plain_port;
    static struct arrival with_tls = {.has_tls = 1}, plain = {.has_tls = 0};
    with_tls.fd = open_port(&tls_port);
    plain.fd = open_port(&plain_port);
    printf("%d %d\n", tls_port, plain_port);
    fflush(stdout);
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_on, &plain)) die("no thread");
    listen_on(&with_tls);
}
