/*
 * test_tenants.c - names of tenants and their numbers.
 *
 * Goal: a name has one number for ever, whoever asks at the same time; bad names and too many are
 * refused. Method: a table of names; four threads that ask for the same names in different orders.
 */
#include "engine/api/tenants.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct ryz_tenants tenants;

static void set_up(void)
{
    ryz_tenants_init(&tenants);
}

static void tear_down(void)
{
    ryz_tenants_deinit(&tenants);
}

TestSuite(tenants, .init = set_up, .fini = tear_down, .timeout = 60);

static uint16_t number_of(const char *name)
{
    uint16_t number = UINT16_MAX;
    cr_assert_eq(ryz_tenants_number(&tenants, name, &number), RYZ_OK, "%s", name);
    return number;
}

Test(tenants, a_name_keeps_its_number)
{
    cr_assert_eq(number_of("default"), RYZ_TENANT_DEFAULT);
    cr_assert_eq(number_of("a"), 1);
    cr_assert_eq(number_of("A"), 2);
    cr_assert_eq(number_of("a.b-c_9"), 3);
    cr_assert_eq(number_of("a"), 1);
    cr_assert_eq(number_of("default"), RYZ_TENANT_DEFAULT);
}

Test(tenants, names_are_short_and_plain)
{
    static const struct {
        const char *name;
        size_t length;
        bool valid;
    } cases[] = {
        {"a", 1, true},
        {"Team_7.eu-west", 14, true},
        {"12345678901234567890123456789012", 32, true},
        {"123456789012345678901234567890123", 33, false},
        {"", 0, false},
        {"a b", 3, false},
        {"a/b", 3, false},
        {"a\0b", 3, false},
        {"\xc3\xa4", 2, false},
        {"a\"", 2, false},
        {"a\n", 2, false},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++)
        cr_assert_eq(ryz_tenant_name_valid(cases[i].name, cases[i].length), cases[i].valid, "%zu",
                     i);
}

Test(tenants, a_full_table_refuses_new_names_and_knows_the_old)
{
    char name[16];
    uint16_t number = 0;
    for (uint32_t i = 1; i < RYZ_TENANTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "t%u", i);
        cr_assert_eq(number_of(name), i);
    }
    cr_assert_eq(ryz_tenants_number(&tenants, "one-too-many", &number), RYZ_FULL);
    cr_assert_eq(number_of("t255"), 255);
    cr_assert_eq(number_of("default"), RYZ_TENANT_DEFAULT);
}

#define NAMES 100u

struct asker {
    uint32_t stride; /* prime to NAMES: another order for each */
    uint16_t numbers[NAMES];
};

static void *ask_all(void *argument)
{
    struct asker *asker = argument;
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[16];
        uint32_t n = i * asker->stride % NAMES;
        (void)snprintf(name, sizeof name, "t%u", n);
        if (ryz_tenants_number(&tenants, name, &asker->numbers[n]) != RYZ_OK)
            asker->numbers[n] = UINT16_MAX;
    }
    return NULL;
}

Test(tenants, threads_that_ask_at_once_get_the_same_numbers)
{
    static struct asker askers[4] = {{.stride = 1}, {.stride = 99}, {.stride = 37}, {.stride = 53}};
    pthread_t threads[4];
    bool seen[RYZ_TENANTS_MAX] = {false};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_all, &askers[i]), 0);
    for (size_t i = 0; i < 4; i++) (void)pthread_join(threads[i], NULL);
    for (uint32_t n = 0; n < NAMES; n++) {
        uint16_t number = askers[0].numbers[n];
        cr_assert(number >= 1 && number <= NAMES && !seen[number], "t%u is %u", n, number);
        seen[number] = true;
        for (size_t i = 1; i < 4; i++) cr_assert_eq(askers[i].numbers[n], number);
    }
}
