#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "common/sys/process.h"

/*
 * A standard stream that was closed would give its number to the next socket, and rows would go
 * there. Reading ends at once instead, writing fails.
 */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)!open("/dev/null", O_RDONLY); // NOLINT(android-cloexec-open): as the others are
        }
    }
}

static int run(struct cli *cli)
{
    const struct args *a = &cli->args;

    if (args_has(a, "version")) {
        return cmd_version(cli);
    }
    if (a->noun[0] != '\0') {
        help_noun(stdout, commands_table(), a->noun);
    } else if (a->command == NULL && a->help) {
        help_all(stdout, commands_table(), commands_globals());
    } else if (a->command == NULL) {
        help_overview(stdout, commands_table());
    } else if (a->help) {
        help_command(stdout, a->command, commands_globals());
    } else {
        return a->command->run(cli);
    }
    return CLI_OK;
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct sf_error err;
    int status = CLI_OK;

    hold_standard_streams();
    sf_process_shim(argc, argv);
    if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
        return complete_run(stdout, argc - 2, argv + 2);
    }
    if (cli_init(&cli, stdout, stderr, argc - 1, argv + 1, &err) != SF_OK) {
        status = cli_fail(&cli, &err);
    } else {
        status = run(&cli);
        if (status == CLI_OK && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
            (void)SF_RAISE(&err, SF_IO, "standard output cannot be written: %s", strerror(errno));
            status = cli_fail(&cli, &err);
        }
    }
    cli_done(&cli);
    return status;
}
