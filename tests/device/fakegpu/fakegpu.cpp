// SPDX-License-Identifier: Apache-2.0
//
// A pretended accelerator for CPU builds of torch, device type PrivateUse1. Its memory is host memory and its kernels are
// those of the CPU, so that values are real; but
// - tensors of two devices do not mix,
// - what the host waits for, and what is copied between host and device, is counted,
// - memory can be pinned, is counted, and runs out where a limit is set,
// - autocast has exactly CUDA's lists of operators.

#include <ATen/ATen.h>
#include <ATen/CPUFunctions.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <mutex>
#include <set>

namespace {

constexpr auto DEVICE = c10::DeviceType::PrivateUse1;
using Optional = std::optional<at::Tensor>;

// ---- what is counted

std::mutex MUTEX;
std::map<std::string, long> COUNTS;

void count(const std::string& what, long times = 1) {
  std::lock_guard<std::mutex> lock(MUTEX);
  COUNTS[what] += times;
}

// ---- memory

struct Memory {
  std::map<const void*, size_t> blocks;
  size_t used = 0, peak = 0, limit = 0;  // bytes; no limit at 0
};
std::mutex MEMORY_MUTEX;
Memory MEMORY;                            // of the device
std::map<const char*, size_t> PINNED;     // of the host

void release(void* data) {
  if (!data) return;
  {
    std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
    auto found = MEMORY.blocks.find(data);
    MEMORY.used -= found->second;
    MEMORY.blocks.erase(found);
  }
  c10::GetCPUAllocator()->raw_deallocate(data);
}

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    if (bytes) {
      {
        std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
        TORCH_CHECK_WITH(OutOfMemoryError, !MEMORY.limit || MEMORY.used + bytes <= MEMORY.limit,
                         "fakegpu out of memory. Tried to allocate ", bytes, " bytes with ", MEMORY.used, " of ",
                         MEMORY.limit, " in use.");
      }
      data = c10::GetCPUAllocator()->raw_allocate(bytes);
      std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
      MEMORY.blocks[data] = bytes;
      MEMORY.used += bytes;
      MEMORY.peak = std::max(MEMORY.peak, MEMORY.used);
    }
    return {data, data, &release, c10::Device(DEVICE, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
};
DeviceAllocator ALLOCATOR;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &ALLOCATOR);

void unpin(void* data) {
  if (!data) return;
  {
    std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
    PINNED.erase(static_cast<const char*>(data));
  }
  c10::GetCPUAllocator()->raw_deallocate(data);
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes ? c10::GetCPUAllocator()->raw_allocate(bytes) : nullptr;
    if (data) {
      std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
      PINNED[static_cast<const char*>(data)] = bytes;
    }
    return {data, data, &unpin, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &unpin; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
};
PinnedAllocator PINNED_ALLOCATOR;

bool is_pinned(const void* data) {
  std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
  auto next = PINNED.upper_bound(static_cast<const char*>(data));
  if (next == PINNED.begin()) return false;
  auto block = std::prev(next);
  return static_cast<const char*>(data) < block->first + block->second;
}

// ---- the one device and its one stream

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return DEVICE; }
  c10::Device exchangeDevice(c10::Device) const override { return {DEVICE, 0}; }
  c10::Device getDevice() const override { return {DEVICE, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream stream() const { return c10::Stream(c10::Stream::DEFAULT, {DEVICE, 0}); }
  c10::Stream getStream(c10::Device) const override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const override { return stream(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &PINNED_ALLOCATOR; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::globalContext().defaultGenerator(c10::kCPU);
  }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto data = ALLOCATOR.allocate(bytes);
    memcpy(data.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.set_data_ptr_noswap(std::move(data));
    storage.set_nbytes(bytes);
  }
};

// ---- the few operators that a device has to have itself

// The memory of a tensor of the device, seen as a tensor of the CPU.
at::Tensor seen_by_cpu(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_privateuseone()) return tensor;
  auto data = c10::DataPtr(tensor.storage().mutable_data(), c10::Device(c10::kCPU));
  c10::Storage storage(c10::Storage::use_byte_size_t(), tensor.storage().nbytes(), std::move(data), nullptr, false);
  return at::empty({0}, tensor.options().device(c10::kCPU))
      .set_(storage, tensor.storage_offset(), tensor.sizes(), tensor.strides());
}

at::Tensor on_device(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  auto out = at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(c10::Device(DEVICE, 0)));
  seen_by_cpu(out).copy_(tensor);
  return out;
}

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                 std::optional<c10::Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, &ALLOCATOR, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> dtype,
                         std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &ALLOCATOR, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

// As with CUDA, the host goes on at once only if it says so and its memory is pinned.
void count_copy(const std::string& direction, const at::Tensor& of_host, bool non_blocking) {
  count("copy: " + direction);
  count("bytes: " + direction, of_host.nbytes());
  count("dtype: " + direction + " " + c10::toString(of_host.scalar_type()));
  if (!non_blocking || !is_pinned(of_host.const_data_ptr())) count("sync: " + direction);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (from.is_privateuseone() && to.is_cpu()) count_copy("device to host", to, non_blocking);
  if (from.is_cpu() && to.is_privateuseone()) count_copy("host to device", from, non_blocking);
  seen_by_cpu(to).copy_(seen_by_cpu(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

const at::Tensor& resize_(const at::Tensor& self, c10::IntArrayRef size, std::optional<c10::MemoryFormat>) {
  if (self.sizes() == size) return self;
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  size_t bytes = (self.storage_offset() + self.numel()) * self.element_size();
  if (bytes > self.storage().nbytes()) {
    auto data = ALLOCATOR.allocate(bytes);
    memcpy(data.get(), self.storage().data(), self.storage().nbytes());
    self.storage().set_data_ptr_noswap(std::move(data));
    self.storage().set_nbytes(bytes);
  }
  return self;
}

c10::Scalar local_scalar_dense(const at::Tensor& tensor) {
  count("sync: item, bool or tolist");
  return seen_by_cpu(tensor).item();
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const Optional& bias, c10::IntArrayRef stride,
                       c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed,
                       c10::IntArrayRef output_padding, int64_t groups) {
  bool biased = bias && bias->defined();
  TORCH_CHECK(x.device() == weight.device() && (!biased || bias->device() == x.device()),
              "fakegpu: Expected all tensors to be on the same device, but a convolution got ", x.device(), " and ",
              weight.device());
  TORCH_CHECK(x.scalar_type() == weight.scalar_type(), "fakegpu: Input type (", x.scalar_type(), ") and weight type (",
              weight.scalar_type(), ") should be the same");
  return on_device(at::convolution(seen_by_cpu(x), seen_by_cpu(weight), biased ? Optional(seen_by_cpu(*bias)) : Optional(),
                                   stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight, c10::IntArrayRef stride,
    c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed, c10::IntArrayRef output_padding, int64_t groups,
    std::array<bool, 3> wanted) {
  std::vector<int64_t> bias{gradient.size(1)};
  auto found = at::convolution_backward(seen_by_cpu(gradient), seen_by_cpu(x), seen_by_cpu(weight),
                                        wanted[2] ? at::OptionalIntArrayRef(bias) : at::OptionalIntArrayRef(), stride,
                                        padding, dilation, transposed, output_padding, groups, wanted);
  return {on_device(std::get<0>(found)), on_device(std::get<1>(found)), on_device(std::get<2>(found))};
}

// Backends without a kernel of their own get a formula that does not take channels_last; CPUs and CUDA do.
std::tuple<at::Tensor, at::Tensor, at::Tensor> native_group_norm(const at::Tensor& x, const Optional& weight,
                                                                 const Optional& bias, int64_t images, int64_t channels,
                                                                 int64_t pixels, int64_t groups, double eps) {
  for (const Optional& one : {weight, bias})
    TORCH_CHECK(!one || !one->defined() || one->device() == x.device(),
                "fakegpu: Expected all tensors to be on the same device, but a group normalisation got ", x.device());
  auto seen = [](const Optional& one) { return one && one->defined() ? Optional(seen_by_cpu(*one)) : Optional(); };
  auto found = at::native_group_norm(seen_by_cpu(x), seen(weight), seen(bias), images, channels, pixels, groups, eps);
  return {on_device(std::get<0>(found)), on_device(std::get<1>(found)), on_device(std::get<2>(found))};
}

at::Tensor& set_storage(at::Tensor& self, at::Storage storage, int64_t offset, c10::IntArrayRef size,
                        c10::IntArrayRef stride) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(storage);
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return self;
}

// ---- everything else: on the CPU, once it is known that nothing mixes

// Calls `look` with all tensors among the arguments of an operator.
template <class Look>
void each_tensor(const c10::OperatorHandle& op, torch::jit::Stack* stack, Look look) {
  const auto& arguments = op.schema().arguments();
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto& value = (*stack)[stack->size() - arguments.size() + i];
    const auto& name = arguments[i].name();
    if (value.isTensor()) {
      look(value.toTensor(), name);
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) look(tensor, name);
    } else if (value.isOptionalTensorList()) {
      for (const Optional& tensor : value.toOptionalTensorVector())
        if (tensor) look(*tensor, name);
    }
  }
}

// Operators whose result has a size, or is a number, that depends on values: the host has to wait for it.
const std::set<std::string> WAITS = {"aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero",
                                     "aten::unique", "aten::_unique2", "aten::unique_consecutive", "aten::bincount"};

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.schema().name();
  bool indexing = name.rfind("aten::index", 0) == 0 || name == "aten::_index_put_impl_";
  bool any_on_device = false, by_mask = false;
  std::string on_host;
  each_tensor(op, stack, [&](const at::Tensor& tensor, const std::string& argument) {
    if (!tensor.defined()) return;
    if (tensor.is_privateuseone()) any_on_device = true;
    // A number is a tensor of the host without axes, and may meet any device.
    if (tensor.is_cpu() && tensor.dim() > 0) on_host += argument + " ";
    // Reading by a mask asks for its positions first, which counts itself.
    if (indexing && name != "aten::index" && argument == "indices" && tensor.scalar_type() == at::kBool) by_mask = true;
  });
  bool mixed = any_on_device && !on_host.empty();
  TORCH_CHECK(!mixed || indexing, "fakegpu: Expected all tensors to be on the same device, but ", name,
              " got on the cpu: ", on_host);
  if (mixed) {  // allowed, but the index is brought to the device each time
    count("copy: host to device");
    count("sync: " + name + " with an index on the cpu");
  }
  if (WAITS.count(name) || by_mask) count("sync: " + name + ", of which a size or a number depends on values");
  count("op: " + name);

  std::map<std::string, long> before;
  {
    std::lock_guard<std::mutex> lock(MUTEX);
    before = COUNTS;
  }
  at::native::cpu_fallback(op, stack);
  std::lock_guard<std::mutex> lock(MUTEX);
  COUNTS = std::move(before);  // without the copies of the fallback itself
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("_copy_from", &copy_from);
  library.impl("_copy_from_and_resize", &copy_from_and_resize);
  library.impl("resize_", &resize_);
  library.impl("_local_scalar_dense", &local_scalar_dense);
  library.impl("convolution_overrideable", &convolution);
  library.impl("convolution_backward_overrideable", &convolution_backward);
  library.impl("native_group_norm", &native_group_norm);
  library.impl("set_.source_Storage_storage_offset", &set_storage);
  library.impl("set_.source_Storage", [](at::Tensor& self, at::Storage storage) -> at::Tensor& {
    int64_t elements = storage.nbytes() / self.element_size();
    self.unsafeGetTensorImpl()->set_storage_keep_dtype(storage);
    self.unsafeGetTensorImpl()->set_sizes_contiguous({elements});
    return self;
  });
  library.impl("set_.source_Tensor", [](at::Tensor& self, const at::Tensor& from) -> at::Tensor& {
    return set_storage(self, from.storage(), from.storage_offset(), from.sizes(), from.strides());
  });
  library.impl("view", [](const at::Tensor& self, c10::IntArrayRef size) { return at::native::view(self, size); });
  library.impl("as_strided", [](const at::Tensor& self, c10::IntArrayRef size, c10::IntArrayRef stride,
                                std::optional<int64_t> offset) {
    return at::native::as_strided_tensorimpl(self, size, stride, offset);
  });
  library.impl("_reshape_alias", [](const at::Tensor& self, c10::IntArrayRef size, c10::IntArrayRef stride) {
    return at::native::as_strided_tensorimpl(self, size, stride, self.storage_offset());
  });
  library.impl("unfold", [](const at::Tensor& self, int64_t axis, int64_t size, int64_t step) {
    return at::native::unfold(self, axis, size, step);
  });
}

}  // namespace

// ---- autocast with the lists of CUDA; the macros of torch name its types without their namespaces

using namespace at::autocast;
using at::IntArrayRef;
using at::ScalarType;
using at::Tensor;
using at::TensorList;
using c10::Scalar;

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, library) { library.fallback(torch::CppFunction::makeFallthrough()); }

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define LOWER_PRECISION(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
  AT_FORALL_LOWER_PRECISION_FP(LOWER_PRECISION)
#define SINGLE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
  AT_FORALL_FP32(SINGLE)
#define SINGLE_BY_DTYPE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
  AT_FORALL_FP32_SET_OPT_DTYPE(SINGLE_BY_DTYPE)
  AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(KERNEL_DIFFERENT_REDISPATCH_SIGNATURE_PRIVATEUSEONE)
#define PROMOTE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
  AT_FORALL_PROMOTE(PROMOTE)
}

PYBIND11_MODULE(fakegpu_C, module) {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  module.def("counts", [] {
    std::lock_guard<std::mutex> lock(MUTEX);
    return COUNTS;
  });
  module.def("reset", [] {
    std::lock_guard<std::mutex> lock(MUTEX);
    COUNTS.clear();
  });
  module.def("memory", [] {  // bytes: in use, at most since the last call of reset_peak, the limit
    std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
    return std::make_tuple(MEMORY.used, MEMORY.peak, MEMORY.limit);
  });
  module.def("reset_peak", [] {
    std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
    MEMORY.peak = MEMORY.used;
  });
  module.def("limit", [](size_t bytes) {
    std::lock_guard<std::mutex> lock(MEMORY_MUTEX);
    MEMORY.limit = bytes;
  });
}
