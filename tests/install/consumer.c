/* A user's program: the umbrella header, one call that needs nothing, one that fails with a message. */
#include <stdio.h>
#include <string.h>

#include <attend.h>

int main(void)
{
    float x[6] = {0};
    att_view v = att_view_2d(x, ATT_F32, 2, 3), out;
    if (att_view_reshape(&v, 1, (int64_t[]){6}, &out) != ATT_OK || out.dim[0] != 6) return 1;
    if (att_view_reshape(&v, 1, (int64_t[]){7}, &out) != ATT_E_SHAPE) return 1;
    if (!strstr(att_last_error(), "reshape")) return 1;
    printf("%s, %s\n", att_isa_name(att_isa_detect()), att_status_name(ATT_OK));
    return 0;
}
