/* The far ends of `bench_media`: phones in pairs whose legs the engine bridges.
 *
 *     media_phones SECONDS WARM_S VOICES COUNT
 *
 * VOICES is a file of 200 frames of 160 mu-law bytes for each phone. Prints the phones' own ports as
 * JSON, begins when the ports to send to come on standard input, and prints what was delivered. Each
 * phone sends a frame every 20 ms, all of them spread over the 20 ms, the first ones in the course of
 * a second, since calls do not begin all at once; each frame says in its first
 * 10 bytes who sent it, which it is, and a check of the rest, so that what was lost, doubled or mixed
 * up shows. What is said has no mu-law 7F: a peer that decodes and encodes again makes FF of it.
 * Delays are from before `send` to the kernel's time stamp of arrival. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = 12, FRAME = 160, MARK = 10, LOOP = 200, BINS = 4000, START = 50 };

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t check(const uint8_t *payload) {
    uint32_t hash = 2166136261u;
    for (int i = 0; i < FRAME; i++)
        if (i < 6 || i >= MARK) hash = (hash ^ payload[i]) * 16777619u;
    return (hash ^ hash >> 24) & 0xFFFFFF;
}

static void put32(uint8_t *at, uint32_t value) {
    at[0] = value >> 24, at[1] = value >> 16, at[2] = value >> 8, at[3] = value;
}

/* Numbers in the payload: six bits a byte, as quiet samples that any peer gives back as they were. */
static void mark(uint8_t *at, int size, uint32_t value) {
    for (int i = size - 1; i >= 0; i--, value >>= 6) at[i] = 0xC0 | (value & 0x3F);
}

static uint32_t marked(const uint8_t *at, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; i++) value = value << 6 | (at[i] & 0x3F);
    return value;
}

struct phone {
    int sock;
    uint8_t *seen;
    int64_t *sent_at;
};

static long wrong, received, made_up;
static long delays[BINS]; /* of 50 us each */

static void drain(struct phone *phones, int index, int frames, int warm, int frame) {
    for (;;) {
        uint8_t data[2048], control[256];
        struct iovec io = {data, sizeof data};
        struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1,
                                 .msg_control = control, .msg_controllen = sizeof control};
        ssize_t size = recvmsg(phones[index].sock, &message, 0);
        if (size < 0) return;
        if (size != HEADER + FRAME || data[0] != 0x80) continue;
        const uint8_t *payload = data + HEADER;
        uint32_t which = marked(payload + 2, 4);
        int genuine = marked(payload + 6, 4) == check(payload) && (int)which < frames;
        if (!genuine || phones[index].seen[which]) {
            /* Silence before the first frame, or a gap covered by the frame before it. */
            made_up += frame >= warm;
            continue;
        }
        if (marked(payload, 2) != (uint32_t)(index ^ 1)) {
            wrong++;
            continue;
        }
        phones[index].seen[which] = 1;
        if ((int)which < warm) continue;
        received++;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                int64_t took = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec
                               - phones[index ^ 1].sent_at[which];
                int64_t bin = took / 50000;
                delays[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
            }
    }
}

static double percentile(double share) {
    long left = (long)(received * share);
    for (int bin = 0; bin < BINS; bin++)
        if ((left -= delays[bin]) < 0) return bin * 0.05;
    return BINS * 0.05;
}

int main(int argc, char **argv) {
    int count = argc == 5 ? atoi(argv[4]) : 0, frames = (int)(atof(argv[1]) * 50), warm = (int)(atof(argv[2]) * 50);
    struct phone *phones = calloc(count, sizeof *phones);
    uint8_t *voices = malloc((size_t)count * LOOP * FRAME);
    FILE *file = fopen(argv[3], "rb");
    if (!file || fread(voices, LOOP * FRAME, count, file) != (size_t)count) return 2;
    printf("[");
    for (int i = 0; i < count; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof own;
        int on = 1;
        phones[i].sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(phones[i].sock, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        if (bind(phones[i].sock, (void *)&own, sizeof own)
            || getsockname(phones[i].sock, (void *)&own, &size)) return 3;
        /* Written to now: a page that is missing later would make all phones late. */
        phones[i].seen = memset(malloc(frames), 0, frames);
        phones[i].sent_at = memset(malloc(frames * sizeof(int64_t)), 1, frames * sizeof(int64_t));
        printf("%s%d", i ? ", " : "", ntohs(own.sin_port));
    }
    printf("]\n");
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        struct sockaddr_in far = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int port;
        if (scanf("%d", &port) != 1) return 4;
        far.sin_port = htons(port);
        if (connect(phones[i].sock, (void *)&far, sizeof far)) return 5;
    }
    /* Above the engine: phones are not late because it works. */
    struct sched_param priority = {.sched_priority = 20};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    long sent = 0;
    int64_t start = now_ns(CLOCK_MONOTONIC) + 20000000;
    for (int beat = 0; beat < frames + START + 25; beat++)
        for (int i = 0; i < count; i++) {
            int64_t at = start + beat * 20000000LL + 19000000LL * i / count / 500000 * 500000;
            int frame = beat - i / 2 * START / (count / 2 + 1);
            if (frame < 0) continue;
            if (at > now_ns(CLOCK_MONOTONIC)) {
                struct timespec t = {at / 1000000000, at % 1000000000};
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0) == EINTR) {}
            }
            if (frame < frames) {
                uint8_t data[HEADER + FRAME] = {0x80, 0, frame >> 8, frame};
                uint8_t *payload = data + HEADER;
                put32(data + 4, frame * FRAME);
                put32(data + 8, i + 1);
                memcpy(payload, voices + ((size_t)i * LOOP + frame % LOOP) * FRAME, FRAME);
                mark(payload, 2, i);
                mark(payload + 2, 4, frame);
                mark(payload + 6, 4, check(payload));
                phones[i].sent_at[frame] = now_ns(CLOCK_REALTIME);
                send(phones[i].sock, data, sizeof data, 0);
                sent += frame >= warm;
            }
            if (frame % 5 == 0 || frame >= frames) drain(phones, i, frames, warm, frame);
        }
    printf("{\"sent\": %ld, \"received\": %ld, \"wrong\": %ld, \"made_up\": %ld, "
           "\"delay_p50_ms\": %.2f, \"delay_p99_ms\": %.2f, \"cpu_s\": %.3f}\n",
           sent, received, wrong, made_up, percentile(0.5), percentile(0.99),
           (double)clock() / CLOCKS_PER_SEC);
    return 0;
}
