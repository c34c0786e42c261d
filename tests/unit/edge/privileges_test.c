/* edge/proc/privileges.c; most of it needs root, and is skipped without. */
#include "edge/proc/privileges.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void test_an_unknown_user_is_named(void **context)
{
    (void)context;
    char error[256] = "";
    struct user_identity user;
    need_root();
    assert_false(user_find(SLICE("no-such-user-here"), &user, error));
    assert_non_null(strstr(error, "no-such-user-here"));
}

static void test_no_user_means_no_change(void **context)
{
    (void)context;
    char error[256];
    struct user_identity user;
    assert_true(user_find(SLICE_NONE, &user, error));
    assert_int_equal(privileges_drop(&user), 0);
}

static int drop_for_good(void)
{
    char error[256];
    gid_t groups[64];
    struct user_identity user;
    if (!user_find(SLICE("nobody"), &user, error) || privileges_drop(&user) != 0)
        return 1;
    if (getuid() != user.uid || geteuid() != user.uid || getegid() != user.gid)
        return 2;
    int count = getgroups(64, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == 0)
            return 3;
    if (setuid(0) == 0 || setgid(0) == 0)
        return 4;
    return privileges_drop(&user); /* again: nothing to do */
}

static void test_root_is_given_up_for_good(void **context)
{
    (void)context;
    int status;
    need_root();
    pid_t child = fork();
    if (child == 0)
        _exit(drop_for_good());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_a_tree_is_given_once_and_links_are_not_followed(void **context)
{
    (void)context;
    char root[] = "/tmp/varve-privileges-XXXXXX", path[128], error[256];
    struct user_identity user;
    struct stat status;
    need_root();
    assert_true(user_find(SLICE("nobody"), &user, error));
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/link", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(give_tree(root, &user), 0);
    assert_int_equal(stat("/etc/passwd", &status), 0);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_uid, user.uid);
    assert_int_equal(lchown(path, 0, 0), 0);
    assert_int_equal(give_tree(root, &user),
                     0); /* the user's already: what is in it is left alone */
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(root), 0);
}

static void test_an_existing_log_file_is_left_alone(void **context)
{
    (void)context;
    char root[] = "/tmp/varve-privileges-XXXXXX", path[128], error[256];
    struct user_identity user;
    struct stat status;
    need_root();
    assert_true(user_find(SLICE("nobody"), &user, error));
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/access.log", root);
    assert_int_equal(symlink("/etc/varve-must-not-appear", path), 0);
    log_file_prepare(slice_of_string(path), &user);
    assert_int_equal(access("/etc/varve-must-not-appear", F_OK), -1);
    assert_int_equal(unlink(path), 0);
    log_file_prepare(slice_of_string(path), &user);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, user.uid);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(root), 0);
}

static void test_9_5_the_limit_of_files_is_raised(void **context)
{
    (void)context;
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){before.rlim_max / 2, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(raise_file_limit() == before.rlim_max);
    setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unknown_user_is_named),
        cmocka_unit_test(test_no_user_means_no_change),
        cmocka_unit_test(test_root_is_given_up_for_good),
        cmocka_unit_test(test_a_tree_is_given_once_and_links_are_not_followed),
        cmocka_unit_test(test_an_existing_log_file_is_left_alone),
        cmocka_unit_test(test_9_5_the_limit_of_files_is_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
