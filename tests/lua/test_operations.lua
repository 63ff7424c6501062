-- Operations on matrices, indices and signals: what fails, and how.
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestOperations = {}

function TestOperations:test_matrices_that_have_no_inverse()
  local singular = cornu.tensor { { { 1, 0 }, { 0, 1 } }, { { 1, 2 }, { 2, 4 } } }
  fails("matrix 2 of the batch is singular", cornu.inverse, singular)
  fails("matrix 2 of the batch is singular", cornu.solve, singular, cornu.ones(2, 2))
  fails("matrix 2 of the batch is not positive definite", cornu.cholesky, singular)
  same(cornu.determinant(singular), { 1, 0 })
  fails("expected square matrices", cornu.inverse, cornu.ones(2, 3))
  fails("needs a float type", cornu.determinant, cornu.tensor({ { 1 } }, "int32"))
  fails("expected (…, n) or (…, n, k)", cornu.solve, cornu.ones(2, 2), cornu.ones(3))
end

function TestOperations:test_indices_out_of_range()
  local x = cornu.zeros(2, 3)
  fails("index 2 of dimension 0 is out of range", cornu.scatter, x, cornu.tensor({ { 2 } }, "int32"), cornu.ones(1, 3))
  fails("index -1 of dimension 0 is out of range", cornu.scatter, x, cornu.tensor({ { -1 } }, "int32"), cornu.ones(1, 3))
  fails("do not fit into", cornu.scatter, x, cornu.tensor({ { 0 } }, "int32"), cornu.ones(1, 2))
  fails("id 5 is out of range", cornu.segment, cornu.ones(2), cornu.tensor({ 0, 5 }, "int32"), { count = 3 })
  fails("does not fit into", cornu.slice_at, x, cornu.tensor({ 0, 0 }, "int32"), { size = { 3, 1 } })
  fails("2 of 3 elements", cornu.slice_at, x, cornu.tensor({ 0, 2 }, "int32"), { size = { 1, 2 } })
  same(cornu.slice_update(x, cornu.ones(1, 2), cornu.tensor({ 7, -7 }, "int64")), { { 0, 0, 0 }, { 1, 1, 0 } })
end

function TestOperations:test_not_a_number_stays_one()
  local bad = cornu.tensor { { 0 / 0, 1 }, { 1, 2 } }
  for _, y in ipairs { (cornu.eigh(bad)), cornu.singular_values(bad), (cornu.qr(bad)) } do
    local x = y:totable()
    while type(x) == "table" do x = x[1] end
    assert(x ~= x, "no NaN")
  end
end

-- The factors give the matrices back.
function TestOperations:test_large_matrices()
  local x = cornu.randn(3, 60, 40)
  local u, s, vt = cornu.svd(x)
  local scaled = u * s:reshape(3, 1, 40)
  assert(scaled:matmul(vt):allclose(x, 0, 1e-4))
  local q, r = cornu.qr(x)
  assert(q:matmul(r):allclose(x, 0, 1e-4))
  local even = x:transpose(1, 3, 2):matmul(x)
  local values, vectors = cornu.eigh(even)
  local back = (vectors * values:reshape(3, 1, 40)):matmul(vectors:transpose(1, 3, 2))
  assert(back:allclose(even, 1e-4, 1e-3))
  assert(cornu.inverse(even):matmul(even):allclose(cornu.eye(40) + cornu.zeros(3, 40, 40), 0, 1e-2))
end
