/*
 * Self-signed certificates in files of a directory of their own, made by the test itself: none that
 * could expire lies in the repository.
 */
#pragma once

#include "base/slice.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct certificate {
    char directory[64], cert_path[96], key_path[96];
};

static void add_names_extension(X509 *certificate, const char *names)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *sign_certificate(EVP_PKEY *key, const char *common_name, const char *names)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    if (names)
        add_names_extension(certificate, names);
    X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

/* `names` like "DNS:a.example,DNS:*.a.example", or NULL. */
static void certificate_make(struct certificate *c, const char *common_name, const char *names)
{
    snprintf(c->directory, sizeof(c->directory), "/tmp/varve-test-XXXXXX");
    if (!mkdtemp(c->directory))
        abort();
    snprintf(c->cert_path, sizeof(c->cert_path), "%s/cert.pem", c->directory);
    snprintf(c->key_path, sizeof(c->key_path), "%s/key.pem", c->directory);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = sign_certificate(key, common_name, names);
    FILE *file = fopen(c->cert_path, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(c->key_path, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void certificate_remove(struct certificate *c)
{
    unlink(c->cert_path);
    unlink(c->key_path);
    rmdir(c->directory);
}
