#include <stdio.h>

int main(void)
{
    puts("attend " ATT_VERSION);
    return 0;
}
