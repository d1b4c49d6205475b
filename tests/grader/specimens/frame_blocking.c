/* A server of the frame exercise as courses teach it: select, and helper functions that block
   until a whole frame is read or written. Legal, all points; it has no claim to the bonus.

     frame_blocking PORT KEY */

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME = 64, FRAME = 512, PLACES = 4 };

static int places[PLACES] = {-1, -1, -1, -1};
static int listener;

static void on_interrupt(int number)
{
    (void)number;
    for (int i = 0; i < PLACES; i++)
        if (places[i] >= 0)
            close(places[i]);
    close(listener);
    _exit(0);
}

static int read_frame(int socket, char *frame)
{
    for (size_t have = 0; have < FRAME;) {
        ssize_t got = read(socket, frame + have, FRAME - have);
        if (got <= 0)
            return 0;
        have += (size_t)got;
    }
    return 1;
}

static int write_frame(int socket, const char *frame)
{
    for (size_t sent = 0; sent < FRAME;) {
        ssize_t took = write(socket, frame + sent, FRAME - sent);
        if (took <= 0)
            return 0;
        sent += (size_t)took;
    }
    return 1;
}

static void drop(int *place)
{
    close(*place);
    *place = -1;
}

static void admit(const char *key)
{
    char frame[FRAME];
    int socket = accept(listener, NULL, NULL), *place = NULL;
    if (socket < 0)
        return;
    for (int i = 0; i < PLACES && !place; i++)
        if (places[i] < 0)
            place = &places[i];
    if (!place || !read_frame(socket, frame)) {
        close(socket);
        return;
    }
    printf("Name: %.64s\nKey: %.448s\n", frame, frame + NAME);
    if (strncmp(frame + NAME, key, FRAME - NAME) != 0 || !write_frame(socket, frame)) {
        close(socket);
        return;
    }
    *place = socket;
}

static void relay(int *place)
{
    char frame[FRAME];
    if (!read_frame(*place, frame)) {
        drop(place);
        return;
    }
    printf("%.64s wrote: %.448s\n", frame, frame + NAME);
    for (int i = 0; i < PLACES; i++)
        if (&places[i] != place && places[i] >= 0 && !write_frame(places[i], frame))
            drop(&places[i]);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1;
    if (argc != 3) {
        fprintf(stderr, "usage: %s port key\n", argv[0]);
        return 2;
    }
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_interrupt);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8)) {
        perror("bind");
        return 1;
    }
    for (;;) {
        fd_set readable;
        int highest = listener;
        FD_ZERO(&readable);
        FD_SET(listener, &readable);
        for (int i = 0; i < PLACES; i++)
            if (places[i] >= 0) {
                FD_SET(places[i], &readable);
                highest = places[i] > highest ? places[i] : highest;
            }
        if (select(highest + 1, &readable, NULL, NULL, NULL) < 0)
            continue;
        for (int i = 0; i < PLACES; i++)
            if (places[i] >= 0 && FD_ISSET(places[i], &readable))
                relay(&places[i]);
        if (FD_ISSET(listener, &readable))
            admit(argv[2]);
    }
}
