#include "text/base64.h"

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

att_status att_base64_write(const char *bytes, size_t n, att_buffer *out)
{
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t word = (uint32_t)s[i] << 16;
        if (left > 1) word |= (uint32_t)s[i + 1] << 8;
        if (left > 2) word |= s[i + 2];
        char four[4] = {digit[word >> 18], digit[word >> 12 & 63], left > 1 ? digit[word >> 6 & 63] : '=',
                        left > 2 ? digit[word & 63] : '='};
        ATT_TRY(att_buffer_append(out, four, sizeof four));
    }
    return ATT_OK;
}

att_status att_base64_read(const char *text, size_t n, att_buffer *out)
{
    ATT_REQUIRE(n % 4 == 0, ATT_E_FORMAT, "base64: %zu characters, expected a multiple of 4", n);
    ATT_TRY(att_buffer_reserve(out, n / 4 * 3));
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word = 0;
        size_t padding = i + 4 == n ? (size_t)(text[n - 1] == '=') + (text[n - 1] == '=' && text[n - 2] == '=') : 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = k < 4 - padding && text[i + k] ? strchr(digit, text[i + k]) : digit;
            ATT_REQUIRE(at && (k >= 4 - padding || text[i + k]), ATT_E_FORMAT,
                        "base64: character %zu is none of its own", i + k);
            word = word << 6 | (uint32_t)(at - digit);
        }
        char three[3] = {(char)(word >> 16), (char)(word >> 8 & 0xFF), (char)(word & 0xFF)};
        ATT_TRY(att_buffer_append(out, three, 3 - padding));
    }
    return ATT_OK;
}
