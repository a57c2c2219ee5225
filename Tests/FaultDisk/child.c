#include "CFaultDisk.h"
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int fault_disk_in_child(int (*body)(void *context), void *context) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fault disk: fork");
        abort();
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int deaths[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT};
        for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) signal(deaths[i], SIG_DFL);
        int nothing = real_open("/dev/null", O_WRONLY, 0);
        if (nothing >= 0) dup2(nothing, STDERR_FILENO);
        _exit(body(context));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
