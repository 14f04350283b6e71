(** A finite step, uniformly in L and n.

    Where |v|, |w|, |q|, |k|, |y|, |m_j| ≤ B, every η ≤ 1/(M₂ |g|) with M₂ = 2R + 10R⁵ + 8R⁹,
    R = B + 1, moves G by between η|g|K/2 and 3η|g|K/2. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention Bounds SecondDerivative.
Open Scope R_scope.

(** *** Moments where |m_j| ≤ R and |m'_j| ≤ x *)
Section Moments.
Variables (n : nat) (q k y r x : R) (m dm : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Hypothesis HR : 0 <= r.
Hypothesis Hx : 0 <= x.
Hypothesis Hm : forall j, (j < n)%nat -> Rabs (m j) <= r.
Hypothesis Hd : forall j, (j < n)%nat -> Rabs (dm j) <= x.
Let l := logit q k y m.
Let mu := mean n l m.
Let nu := mean n l dm.
Let C := moment n l m dm.
Let delta (j : nat) := m j - mu.
Let eps (j : nat) := dm j - nu.

Let Hmu : Rabs mu <= r.
Proof. now apply mean_abs_le. Qed.
Let Hnu : Rabs nu <= x.
Proof. now apply mean_abs_le. Qed.
Let Hdelta : forall j, (j < n)%nat -> Rabs (delta j) <= 2 * r.
Proof.
  intros j Hj. unfold delta. specialize (Hm j Hj). unfold Rabs in *.
  destruct (Rcase_abs (m j)), (Rcase_abs mu), (Rcase_abs (m j - mu)); lra.
Qed.
Let Heps : forall j, (j < n)%nat -> Rabs (eps j) <= 2 * x.
Proof.
  intros j Hj. unfold eps. specialize (Hd j Hj). unfold Rabs in *.
  destruct (Rcase_abs (dm j)), (Rcase_abs nu), (Rcase_abs (dm j - nu)); lra.
Qed.

Lemma second_at_most : forall (f : nat -> R) b,
  (forall j, (j < n)%nat -> Rabs (f j) <= b) ->
  mean n l (fun j => (f j - mean n l f) ^ 2) <= b ^ 2.
Proof.
  intros f b H. set (e := mean n l f).
  rewrite (mean_ext n l _ (fun j => f j ^ 2 + ((-2 * e) * f j + e ^ 2 * 1))) by (intros; ring).
  rewrite !mean_plus, !mean_scal, mean_const by assumption. fold e.
  assert (mean n l (fun j => f j ^ 2) <= b ^ 2).
  { rewrite <- (mean_const n l (b ^ 2) Hn). apply mean_le; [assumption|].
    intros; apply square_le; auto. }
  pose proof (pow2_ge_0 e). lra.
Qed.

Lemma second_nonneg : forall f : nat -> R, 0 <= mean n l (fun j => f j ^ 2).
Proof.
  intros. apply total_nonneg; intros. apply Rmult_le_pos;
    [apply Rlt_le; now apply softmax_pos|apply pow2_ge_0].
Qed.

Lemma c20 : 0 <= C 2 0 <= r ^ 2.
Proof.
  unfold C, moment. rewrite (mean_ext n l _ (fun j => (m j - mean n l m) ^ 2)) by (intros; ring).
  split; [apply second_nonneg|now apply second_at_most].
Qed.

Lemma c02 : 0 <= C 0 2 <= x ^ 2.
Proof.
  unfold C, moment. rewrite (mean_ext n l _ (fun j => (dm j - mean n l dm) ^ 2)) by (intros; ring).
  split; [apply second_nonneg|now apply second_at_most].
Qed.

Lemma deviation : 0 <= mean n l (fun j => Rabs (delta j)) <= r.
Proof.
  assert (H0 : 0 <= mean n l (fun j => Rabs (delta j))).
  { apply total_nonneg; intros; apply Rmult_le_pos;
      [apply Rlt_le; now apply softmax_pos|apply Rabs_pos]. }
  split; [assumption|].
  pose proof (mean_abs_square n l delta Hn) as H.
  pose proof (second_at_most m r Hm) as H1. fold mu in H1.
  change (mean n l (fun j => (m j - mu) ^ 2)) with (mean n l (fun j => delta j ^ 2)) in H1.
  set (e := mean n l (fun j => Rabs (delta j))) in *. nra.
Qed.

(** |E f| ≤ b E h where |f| ≤ b h. *)
Lemma dominated_mean : forall (f h : nat -> R) b c, 0 <= b ->
  (forall j, (j < n)%nat -> Rabs (f j) <= b * h j) -> mean n l h <= c ->
  Rabs (mean n l f) <= b * c.
Proof.
  intros f h b c Hb H Hc. eapply Rle_trans; [now apply mean_abs|].
  apply Rle_trans with (mean n l (fun j => b * h j)); [now apply mean_le|].
  rewrite mean_scal. now apply Rmult_le_compat_l.
Qed.

Lemma c11 : Rabs (C 1 1) <= x * r.
Proof.
  assert (E : C 1 1 = mean n l (fun j => delta j * dm j)).
  { unfold C, moment. fold mu nu.
    rewrite (mean_ext n l _ (fun j => delta j * dm j + (- nu) * (m j - mu)))
      by (intros; unfold delta; ring).
    rewrite mean_plus, mean_scal.
    change (mean n l (fun j => m j - mu)) with (mean n l (fun j => m j - mean n l m)).
    rewrite mean_centred by assumption. ring. }
  rewrite E. apply (dominated_mean _ (fun j => Rabs (delta j))); [assumption| |apply deviation].
  intros j Hj. rewrite Rabs_mult, Rmult_comm. apply Rmult_le_compat_r; [apply Rabs_pos|auto].
Qed.

Lemma c30 : Rabs (C 3 0) <= 2 * r * r ^ 2.
Proof.
  apply (dominated_mean _ (fun j => delta j ^ 2)); [lra| |].
  - intros j Hj. fold mu nu. fold (delta j).
    replace (delta j ^ 3 * (dm j - nu) ^ 0) with (delta j * delta j ^ 2) by ring.
    rewrite Rabs_mult, (Rabs_right (delta j ^ 2)) by (apply Rle_ge, pow2_ge_0).
    apply Rmult_le_compat_r; [apply pow2_ge_0|auto].
  - now apply second_at_most.
Qed.

Lemma c21 : Rabs (C 2 1) <= 2 * x * r ^ 2.
Proof.
  apply (dominated_mean _ (fun j => delta j ^ 2)); [lra| |].
  - intros j Hj. fold mu nu. fold (delta j) (eps j).
    replace (delta j ^ 2 * eps j ^ 1) with (eps j * delta j ^ 2) by ring.
    rewrite Rabs_mult, (Rabs_right (delta j ^ 2)) by (apply Rle_ge, pow2_ge_0).
    apply Rmult_le_compat_r; [apply pow2_ge_0|auto].
  - now apply second_at_most.
Qed.

Lemma c12 : Rabs (C 1 2) <= 2 * r * x ^ 2.
Proof.
  apply (dominated_mean _ (fun j => eps j ^ 2)); [lra| |].
  - intros j Hj. fold mu nu. fold (delta j) (eps j).
    replace (delta j ^ 1 * eps j ^ 2) with (delta j * eps j ^ 2) by ring.
    rewrite Rabs_mult, (Rabs_right (eps j ^ 2)) by (apply Rle_ge, pow2_ge_0).
    apply Rmult_le_compat_r; [apply pow2_ge_0|auto].
  - now apply second_at_most.
Qed.
End Moments.

(** *** The bound on G'' *)

Lemma abs_product : forall a b x z, Rabs a <= x -> Rabs b <= z -> Rabs (a * b) <= x * z.
Proof.
  intros. rewrite Rabs_mult. apply Rmult_le_compat; try assumption; apply Rabs_pos.
Qed.

Lemma abs_sum : forall a b x z, Rabs a <= x -> Rabs b <= z -> Rabs (a + b) <= x + z.
Proof. intros. eapply Rle_trans; [apply Rabs_triang|lra]. Qed.

Lemma abs_number : forall c, 0 <= c -> Rabs c <= c.
Proof. intros. rewrite Rabs_right; lra. Qed.

(** The quadratic form of the blocks' bounds, by 2ab ≤ a² + b². *)
Lemma quadratic_form : forall r x v w q k, 0 <= r -> 0 <= x -> 0 <= v -> 0 <= w -> 0 <= q -> 0 <= k ->
  2 * v * w * r + 2 * (v * r + r * w) * (x + r * r * (q + k) * r ^ 2 + r ^ 3 * (x * r))
  + r * r * (4 * (r * r * (q + k)) * (x * r) + 2 * r ^ 3 * x ^ 2 + 2 * q * k * r * r ^ 2
     + (r * r * (q + k)) ^ 2 * (2 * r * r ^ 2)
     + 2 * r ^ 3 * (r * r * (q + k)) * (2 * x * r ^ 2) + (r ^ 3) ^ 2 * (2 * r * x ^ 2))
  <= curvature r * (v ^ 2 + w ^ 2 + q ^ 2 + k ^ 2 + x ^ 2).
Proof.
  intros r x v w q k Hr Hx Hv Hw Hq Hk. unfold curvature.
  set (s := v ^ 2 + w ^ 2 + q ^ 2 + k ^ 2 + x ^ 2).
  assert (H1 : 0 <= r * (2 * s - (2 * v * w + 2 * (v + w) * x))).
  { apply Rmult_le_pos; [assumption|]. unfold s.
    pose proof (pow2_ge_0 (v - w)); pose proof (pow2_ge_0 (v - x)); pose proof (pow2_ge_0 (w - x)).
    pose proof (pow2_ge_0 q); pose proof (pow2_ge_0 k). lra. }
  assert (H5 : 0 <= r ^ 5 * (10 * s - (2 * (v + w) * x + 2 * (v + w) * (q + k)
       + 4 * (q + k) * x + 2 * x ^ 2 + 2 * q * k))).
  { apply Rmult_le_pos; [now apply pow_le|]. unfold s.
    pose proof (pow2_ge_0 (v - x)); pose proof (pow2_ge_0 (w - x)); pose proof (pow2_ge_0 (v - q)).
    pose proof (pow2_ge_0 (v - k)); pose proof (pow2_ge_0 (w - q)); pose proof (pow2_ge_0 (w - k)).
    pose proof (pow2_ge_0 (q - x)); pose proof (pow2_ge_0 (k - x)); pose proof (pow2_ge_0 (q - k)).
    pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w); pose proof (pow2_ge_0 q).
    pose proof (pow2_ge_0 k); pose proof (pow2_ge_0 x). lra. }
  assert (H9 : 0 <= r ^ 9 * (8 * s - (2 * (q + k) ^ 2 + 4 * (q + k) * x + 2 * x ^ 2))).
  { apply Rmult_le_pos; [now apply pow_le|]. unfold s.
    pose proof (pow2_ge_0 (q - x)); pose proof (pow2_ge_0 (k - x)); pose proof (pow2_ge_0 (q - k)).
    pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w); pose proof (pow2_ge_0 q).
    pose proof (pow2_ge_0 k); pose proof (pow2_ge_0 x). lra. }
  clearbody s. lra.
Qed.

Section SecondBound.
Variables (n : nat) (v w q k y r : R) (m : nat -> R) (dv dw dq dk x u : R) (dm : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Hypothesis HR : 0 <= r.
Hypothesis Hx : 0 <= x.
Hypothesis Hv : Rabs (v + u * dv) <= r.
Hypothesis Hw : Rabs (w + u * dw) <= r.
Hypothesis Hq : Rabs (q + u * dq) <= r.
Hypothesis Hk : Rabs (k + u * dk) <= r.
Hypothesis Hy : Rabs y <= r.
Hypothesis Hm : forall j, (j < n)%nat -> Rabs (m j + u * dm j) <= r.
Hypothesis Hd : forall j, (j < n)%nat -> Rabs (dm j) <= x.

Theorem second_bound :
  Rabs (line_second n v w q k y m dv dw dq dk dm u)
  <= curvature r * (dv ^ 2 + dw ^ 2 + dq ^ 2 + dk ^ 2 + x ^ 2).
Proof.
  set (mt := fun j => m j + u * dm j).
  pose proof (c11 n (q + u * dq) (k + u * dk) y r x mt dm Hn HR Hx Hm Hd) as M11.
  pose proof (c20 n (q + u * dq) (k + u * dk) y r mt dm Hn Hm) as M20.
  pose proof (c02 n (q + u * dq) (k + u * dk) y x mt dm Hn Hd) as M02.
  pose proof (c30 n (q + u * dq) (k + u * dk) y r mt dm Hn HR Hm) as M30.
  pose proof (c21 n (q + u * dq) (k + u * dk) y r x mt dm Hn Hx Hm Hd) as M21.
  pose proof (c12 n (q + u * dq) (k + u * dk) y r x mt dm Hn HR Hm Hd) as M12.
  assert (M20' : Rabs (moment n (logit (q + u * dq) (k + u * dk) y mt) mt dm 2 0) <= r ^ 2)
    by (rewrite Rabs_right; lra).
  assert (M02' : Rabs (moment n (logit (q + u * dq) (k + u * dk) y mt) mt dm 0 2) <= x ^ 2)
    by (rewrite Rabs_right; lra).
  assert (Mmu : Rabs (attended n (q + u * dq) (k + u * dk) y mt) <= r) by now apply mean_abs_le.
  assert (Mnu : Rabs (mean n (logit (q + u * dq) (k + u * dk) y mt) dm) <= x)
    by now apply mean_abs_le.
  unfold line_second, line_mean, mean_first, mean_second. fold mt.
  clear M20 M02. generalize dependent (moment n (logit (q + u * dq) (k + u * dk) y mt) mt dm).
  intros C M11 M30 M21 M12 M20 M02.
  generalize dependent (mean n (logit (q + u * dq) (k + u * dk) y mt) dm). intros nu Mnu.
  generalize dependent (attended n (q + u * dq) (k + u * dk) y mt). intros mu Mmu.
  set (vt := v + u * dv) in *. set (wt := w + u * dw) in *.
  set (qt := q + u * dq) in *. set (kt := k + u * dk) in *. clearbody vt wt qt kt.
  rewrite <- (pow2_abs dv), <- (pow2_abs dw), <- (pow2_abs dq), <- (pow2_abs dk).
  assert (Hda : Rabs ((dq * kt + qt * dk) * y) <= r * r * (Rabs dq + Rabs dk)).
  { replace (r * r * (Rabs dq + Rabs dk)) with ((Rabs dq * r + r * Rabs dk) * r) by ring.
    apply abs_product; [|assumption].
    apply abs_sum; apply abs_product; try assumption; apply Rle_refl. }
  assert (Ha : Rabs (qt * kt * y) <= r ^ 3).
  { replace (r ^ 3) with (r * r * r) by ring. now repeat apply abs_product. }
  set (da := (dq * kt + qt * dk) * y) in *. set (a := qt * kt * y) in *. clearbody da a.
  assert (Hda2 : Rabs (da ^ 2) <= (r * r * (Rabs dq + Rabs dk)) ^ 2).
  { rewrite <- RPow_abs. apply pow_incr. split; [apply Rabs_pos|assumption]. }
  assert (Ha2 : Rabs (a ^ 2) <= (r ^ 3) ^ 2).
  { rewrite <- RPow_abs. apply pow_incr. split; [apply Rabs_pos|assumption]. }
  set (da2 := da ^ 2) in *. set (a2 := a ^ 2) in *. clearbody da2 a2.
  eapply Rle_trans; [|apply (quadratic_form r x (Rabs dv) (Rabs dw) (Rabs dq) (Rabs dk));
    try assumption; apply Rabs_pos].
  assert (N2 : Rabs 2 <= 2) by (apply abs_number; lra).
  assert (N4 : Rabs 4 <= 4) by (apply abs_number; lra).
  apply abs_sum; [apply abs_sum|].
  - repeat apply abs_product; try assumption; apply Rle_refl.
  - apply abs_product; [apply abs_product; [assumption|]|].
    + apply abs_sum; apply abs_product; try assumption; apply Rle_refl.
    + apply abs_sum; [apply abs_sum|]; [assumption| |]; now apply abs_product.
  - apply abs_product; [now apply abs_product|].
    repeat apply abs_sum; repeat apply abs_product; try assumption; apply Rle_refl.
Qed.
End SecondBound.
