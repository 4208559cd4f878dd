/*
 * The SHEAF_ variables that a program of Sheaf knows, whichever: they stand in one environment, as
 * that of `sheaf dev`, and each program passes over what is another's.
 *
 * Compared with the tables of the programs by tests/integration/test_settings.py.
 */
#pragma once

/* Sorted, ends with NULL. */
extern const char *const sf_settings_variables[];
