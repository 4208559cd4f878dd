#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "common/sys/process.h"

int main(int argc, char **argv)
{
    struct cli cli;
    struct sf_error err;
    int status = CLI_OK;

    sf_process_shim(argc, argv);
    if (cli_init(&cli, stdout, stderr, argc - 1, argv + 1, &err) != SF_OK) {
        status = cli_fail(&cli, &err);
    } else if (cli.args.command == NULL) {
        if (cli.args.help) {
            help_all(stdout, commands_table(), commands_globals());
        } else {
            help_overview(stdout, commands_table());
        }
    } else if (cli.args.help) {
        help_command(stdout, cli.args.command, commands_globals());
    } else {
        status = cli.args.command->run(&cli);
    }
    cli_done(&cli);
    return status;
}
