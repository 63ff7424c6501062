/* Hashes against TensorFlow 2.21: tf.strings.to_hash_bucket_fast and to_hash_bucket_strong with 2^63 - 1 buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

typedef struct vector { size_t length; uint64_t fingerprint, sip; } vector;

static const vector vectors[] = {
    {0, 1936946117179621456, 4928313950774450900}, {1, 4787810249829893994, 1997506353430628033},
    {2, 3353133560205292660, 6911165602182906052}, {3, 3979540680440595841, 9048718305631872180},
    {4, 1509917768758543984, 4109946744670347976}, {5, 4967757794866604897, 5423874958112161410},
    {7, 829414854177725340, 8131889922878570226}, {8, 9054041679003793296, 139219793003995743},
    {9, 1767690341047171170, 205214055355598315}, {12, 3687391520725723730, 7620039530124986895},
    {15, 4354137861722935187, 558188639253517970}, {16, 2040229554284655233, 4756130099949022514},
    {17, 1598273190697152750, 4992954217654957024}, {20, 8530501379264873851, 1524532318273818963},
    {24, 8703871381472464740, 1736190441027206103}, {31, 5081806966836311103, 207145095192532542},
    {32, 4211733598999968803, 5943412236156972521}, {33, 6857047222683067445, 1451075356954876513},
    {40, 3821247942643202891, 3197168470600341315}, {47, 6497186778194894245, 2437290898671553917},
    {48, 909671701084491069, 1008470393858784586}, {56, 2742193335339212150, 4010524531557195794},
    {63, 2785923491341000948, 1682396135865694918}, {64, 6774658386090824457, 4419742206442424061},
    {65, 5704458815152412975, 6110561516875248359}, {80, 3907593625336649553, 4581002514983903536},
    {96, 5109668246995553221, 5846739407962579387}, {127, 1606317220540937550, 4359375353722656690},
    {128, 2723922170591291962, 4859248278183723165}, {129, 8836539292933233389, 4003109813254898814},
    {191, 9013643461211983048, 3037222691610804322}, {192, 6895034984969303880, 8319762829921533997},
    {193, 2273501726955836827, 1104415593243264338}, {200, 7190553771820493117, 5463725518267935492},
    {255, 5589000481270868102, 1863241909310723943}, {256, 8365149837277037366, 1855246703488579889},
    {257, 525329848679794305, 7242004735934530102}, {300, 3349369135643264697, 707077775323483377}};

static void test_vectors(void **state) {
  (void)state;
  const uint64_t buckets = INT64_MAX, key[2] = {133, 137};
  unsigned char data[300];
  for (unsigned i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37 + 11 + i * i / 7);
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    const vector *v = &vectors[i];
    if (cn_hash_fingerprint(data, v->length) % buckets != v->fingerprint) fail_msg("fingerprint of %zu", v->length);
    if (cn_hash_sip(key, data, v->length) % buckets != v->sip) fail_msg("SipHash of %zu", v->length);
  }
}

/* tf.sparse.cross_hashed of the numbers 1, 2, -5 and the strings "x", "yy", "", with 1000003 buckets. */
static void test_cross(void **state) {
  (void)state;
  static const struct { int64_t number; const char *text; size_t length; uint64_t want; } cases[] = {
      {1, "x", 1, 899268}, {2, "yy", 2, 583909}, {-5, "", 0, 89989}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t hash = cn_hash_combine(0xDECAFCAFFE, (uint64_t)cases[i].number);
    hash = cn_hash_combine(hash, cn_hash_fingerprint(cases[i].text, cases[i].length));
    assert_int_equal(hash % 1000003, cases[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_cross)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
