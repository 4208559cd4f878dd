#include "common/expr/expr_private.h"

const struct sf_expr_function sf_expr_functions[] = {
    [SF_FN_LOWER] = {"lower", 1, 1},       [SF_FN_UPPER] = {"upper", 1, 1},
    [SF_FN_LENGTH] = {"length", 1, 1},     [SF_FN_SUBSTR] = {"substr", 2, 3},
    [SF_FN_COALESCE] = {"coalesce", 1, 0}, [SF_FN_YEAR] = {"year", 1, 1},
    [SF_FN_MONTH] = {"month", 1, 1},       [SF_FN_DAY] = {"day", 1, 1},
    [SF_FN_HOUR] = {"hour", 1, 1},         [SF_FN_LEN] = {"len", 1, 1},
};
const char *const sf_expr_caller_names[SF_CALLER_NAMES] = {"domain", "role", "purpose"};

bool sf_expr_same_word(struct sf_slice word, const char *wanted)
{
    size_t size = strlen(wanted);

    if (word.size != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t c = word.data[i];

        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != wanted[i]) {
            return false;
        }
    }
    return true;
}

bool sf_expr_is_keyword(struct sf_slice word)
{
    static const char *const keywords[] = {"and",    "or", "not",  "in",   "between", "like",
                                           "escape", "is", "null", "true", "false",   "caller"};

    for (size_t i = 0; i < SF_COUNT(keywords); i++) {
        if (sf_expr_same_word(word, keywords[i])) {
            return true;
        }
    }
    return false;
}
